import type { Duplex } from "node:stream";
import { takeReads } from "../../host/system/shared-read-buffer.ts";
import type { FrameBuffer, FrameCount } from "./frame-buffer.ts";
import { RateLimiter } from "./rate-limiter.ts";

/**
 * Frames that are handled before the event loop has its turn: a guest that floods gets no more of it than that. With what else a
 * turn may have cost, no more than one read of 256 KiB.
 */
const framesPerTurn = 128;

/** Hands over the frames that come, and holds the guest back when there are too many. */
export class FrameReader {
  readonly limiter = new RateLimiter();
  readonly count: FrameCount = { frames: 0, bytes: 0 };
  readonly #stream: Duplex;
  readonly #frames: FrameBuffer;
  readonly #take: (at: number, end: number) => void;
  /** What a stream without our buffer has given and had no room. */
  #chunk: Uint8Array | null = null;
  #timer: NodeJS.Timeout | null = null;
  #turn: NodeJS.Immediate | null = null;
  #isHandling = false;
  #isClosed = false;

  /** @param take one frame: where it begins and ends in the buffer */
  constructor(stream: Duplex, frames: FrameBuffer, take: (at: number, end: number) => void) {
    this.#stream = stream;
    this.#frames = frames;
    this.#take = take;
  }

  start(): void {
    takeReads(this.#stream, (bytes) => {
      this.#read(bytes);
    });
  }

  /** What waits for the limit is looked at anew. */
  limitChanged(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#turn ??= setImmediate(this.#continue);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#chunk = null;
  }

  #read(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    // A stream may give more although it was paused, or while a frame is handled.
    if (this.#turn !== null || this.#timer !== null || this.#isHandling) {
      this.#chunk = this.#chunk === null ? Buffer.from(bytes) : Buffer.concat([this.#chunk, bytes]);
      return;
    }
    const added = this.#frames.add(bytes);
    if (added < bytes.length) this.#chunk = bytes.subarray(added);
    if (!this.#handle()) this.#stream.pause();
  }

  readonly #continue = (): void => {
    this.#turn = null;
    this.#timer = null;
    if (this.#handle()) this.#stream.resume();
  };

  /** @returns whether more can be read */
  #handle(): boolean {
    this.#isHandling = true;
    const isThrough = this.#handleFrames();
    this.#isHandling = false;
    return isThrough;
  }

  #handleFrames(): boolean {
    const frames = this.#frames;
    for (let count = 0; count < framesPerTurn; count++) {
      const length = frames.next();
      if (this.#isClosed) return false;
      if (length < 0) {
        frames.rest();
        if (this.#chunk === null) return true;
        const chunk = this.#chunk;
        const added = frames.add(chunk);
        this.#chunk = added < chunk.length ? chunk.subarray(added) : null;
        continue;
      }
      const wait = this.limiter.isLimited ? this.limiter.admit(length, performance.now()) : 0;
      if (wait > 0) {
        this.#timer = setTimeout(this.#continue, Math.ceil(wait));
        return false;
      }
      const at = frames.frameAt;
      frames.take(length);
      this.count.frames++;
      this.count.bytes += length;
      this.#take(at, at + length);
    }
    this.#turn = setImmediate(this.#continue);
    return false;
  }
}
