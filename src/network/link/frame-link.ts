import type { Duplex } from "node:stream";
import type { NetworkRateLimiterConfig } from "../../config/network/network-type.ts";
import { withReadBuffer } from "../../host/system/shared-read-buffer.ts";
import { FrameBuffer, type FrameCount } from "./frame-buffer.ts";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";

/** Takes a frame, `bytes[at, end)`, of 14 to 65,549 bytes: valid until it returns. */
export type FrameHandler = (bytes: Buffer, at: number, end: number) => void;

export interface FrameLinkOptions {
  /** Nobody else's from now on. A socket that was not written to is read into memory where checksums are cheap. */
  readonly stream: Duplex;
  readonly rateLimiter: NetworkRateLimiterConfig | null;
  /** A frame could not be handled because of a fault of ours: it is lost, and the next one comes. */
  readonly failed: (error: unknown) => void;
  /** Nothing comes any more; called once, not after {@link FrameLink.close}. */
  readonly closed: (error: Error | null) => void;
}

/**
 * Our end of the guest's cable (`-netdev stream` of QEMU): a length of 4 bytes in network order before each Ethernet frame.
 *
 * The length is QEMU's word, the frame the guest's. A frame that cannot be one, by its length, is skipped and counted; the next one is
 * taken. At most 128 frames are handled before the event loop has its turn.
 */
export class FrameLink {
  readonly #stream: Duplex;
  readonly #frames = new FrameBuffer();
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  #handler: FrameHandler | null = null;
  #isClosed = false;

  constructor({ stream, rateLimiter, failed, closed }: FrameLinkOptions) {
    this.#stream = withReadBuffer(stream, this.#frames.readArea);
    this.#writer = new FrameWriter(this.#stream);
    this.#reader = new FrameReader(this.#stream, this.#frames, (at, end) => {
      try {
        this.#handler?.(this.#frames.bytes, at, end);
      } catch (error) {
        failed(error);
      }
    });
    this.setRateLimits(rateLimiter);
    const over = (error: Error | null): void => {
      if (this.#isClosed) return;
      this.close();
      closed(error);
    };
    this.#stream.once("error", over);
    // A second one, of a write after the end, is no news.
    this.#stream.on("error", () => undefined);
    for (const event of ["end", "close"]) this.#stream.once(event, () => over(null));
  }

  /** Frames from now on, to one handler. */
  start(handler: FrameHandler): void {
    this.#handler = handler;
    this.#reader.start();
  }

  /** Frames and bytes from the guest that were long enough and not too long. */
  get fromGuest(): Readonly<FrameCount> {
    return this.#reader.count;
  }

  get toGuest(): Readonly<FrameCount> {
    return this.#writer.count;
  }

  /** Frames that were not taken, or not sent. */
  get dropped(): Readonly<Record<"tooShort" | "tooLong" | "overflowed", number>> {
    const { tooShort, tooLong } = this.#frames;
    return { tooShort, tooLong, overflowed: this.#writer.overflowed };
  }

  /** See {@link FrameWriter.isCongested}. */
  get isCongested(): boolean {
    return this.#writer.isCongested;
  }

  onDrain(callback: () => void): void {
    this.#writer.onDrain(callback);
  }

  /** See {@link FrameWriter.send}. */
  send(head: Buffer, payload: readonly Uint8Array[]): void {
    this.#writer.send(head, payload);
  }

  /** From now on; frames that wait are looked at anew. */
  setRateLimits(config: NetworkRateLimiterConfig | null): void {
    const now = performance.now();
    this.#reader.limiter.change(config?.egress ?? null, now);
    this.#writer.limiter.change(config?.ingress ?? null, now);
    this.#reader.limitChanged();
    this.#writer.limitChanged();
  }

  /** Both directions, at once. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader.close();
    this.#writer.close();
    this.#stream.destroy();
    this.#frames.release();
  }
}
