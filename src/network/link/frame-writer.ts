import type { Duplex } from "node:stream";
import { prefixBytes, type FrameCount } from "./frame-buffer.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** Bytes that may wait for QEMU before whoever can wait has to: eight frames of 64 KiB, twice what the socket holds. */
const usualHighWater = 512 * 1024;
/** Behind a slow limit no more waits than passes in this time, but always one frame: what is urgent comes last. */
const limitedWaitMs = 100;
const leastHighWater = 64 * 1024;
/** What of those who do not heed it is dropped. */
const mostBytes = 4 * 1024 * 1024;

interface WaitingFrame {
  readonly head: Buffer;
  readonly payload: readonly Uint8Array[];
  readonly length: number;
}

/** Writes frames for the guest, all of one turn of the event loop at once. */
export class FrameWriter {
  readonly limiter = new RateLimiter();
  readonly count: FrameCount = { frames: 0, bytes: 0 };
  /** Dropped because too much waited. */
  overflowed = 0;
  readonly #stream: Duplex;
  readonly #drained: (() => void)[] = [];
  /** For the rate limit. */
  #waiting: WaitingFrame[] = [];
  /** For the end of the tick, or of the last write. */
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;
  /** 0: nothing is being written. */
  #writingBytes = 0;
  /** All of what has not been written. */
  #bytes = 0;
  /** At this many of them whoever can wait has to; at half of it they may go on: while the rest is written, more comes. */
  #highWater = usualHighWater;
  #isFlushing = false;
  #isCongested = false;
  #timer: NodeJS.Timeout | null = null;
  #turn: NodeJS.Immediate | null = null;
  #isClosed = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Until {@link onDrain}. */
  get isCongested(): boolean {
    return this.#isCongested;
  }

  onDrain(callback: () => void): void {
    this.#drained.push(callback);
  }

  /**
   * @param head starts with `prefixBytes` of room. The writer's from now on.
   * @param payload behind it, in pieces; not to be changed until they are written
   */
  send(head: Buffer, payload: readonly Uint8Array[]): void {
    let length = head.length - prefixBytes;
    for (const piece of payload) length += piece.length;
    if (this.#isClosed) return;
    if (this.#bytes + length > mostBytes) {
      this.overflowed++;
      return;
    }
    this.#bytes += length;
    if (this.#bytes >= this.#highWater) this.#isCongested = true;
    head.writeUInt32BE(length);
    if (!this.limiter.isLimited && this.#waiting.length === 0) this.#add(head, payload, length);
    else {
      this.#waiting.push({ head, payload, length });
      if (this.#timer === null) this.#admit();
    }
  }

  /** What waits for the limit is looked at anew. */
  limitChanged(): void {
    this.#highWater = Math.min(
      usualHighWater,
      Math.max(leastHighWater, this.limiter.bytesWithin(limitedWaitMs)),
    );
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#admit();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#waiting = [];
    this.#pieces = [];
  }

  readonly #admit = (): void => {
    this.#timer = null;
    let count = 0;
    for (const { head, payload, length } of this.#waiting) {
      const wait = this.limiter.isLimited ? this.limiter.admit(length, performance.now()) : 0;
      if (wait > 0) {
        this.#timer = setTimeout(this.#admit, Math.ceil(wait));
        break;
      }
      count++;
      this.#add(head, payload, length);
    }
    this.#waiting.splice(0, count);
  };

  #add(head: Buffer, payload: readonly Uint8Array[], length: number): void {
    this.count.frames++;
    this.count.bytes += length;
    this.#pieces.push(head);
    for (const piece of payload) this.#pieces.push(piece);
    this.#piecesBytes += length;
    if (this.#isFlushing || this.#writingBytes > 0) return;
    this.#isFlushing = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    const pieces = this.#pieces;
    const last = pieces.pop();
    if (this.#isClosed || last === undefined) return;
    this.#pieces = [];
    this.#writingBytes = this.#piecesBytes;
    this.#piecesBytes = 0;
    this.#stream.cork();
    for (const piece of pieces) this.#stream.write(piece);
    this.#stream.write(last, this.#written);
    this.#stream.uncork();
  };

  readonly #written = (): void => {
    this.#bytes -= this.#writingBytes;
    this.#writingBytes = 0;
    if (this.#isClosed) return;
    if (this.#pieces.length > 0) this.#flush();
    // In a turn of its own: a guest that takes all at once must not keep the event loop from everybody else.
    if (this.#isCongested && this.#bytes <= this.#highWater / 2) this.#turn ??= setImmediate(this.#drain);
  };

  readonly #drain = (): void => {
    this.#turn = null;
    if (this.#bytes > this.#highWater / 2) return;
    this.#isCongested = false;
    for (const callback of this.#drained) callback();
  };
}
