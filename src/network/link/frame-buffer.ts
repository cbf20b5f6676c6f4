import { allocateSummable } from "../checksum/checksum.ts";

/** Before each frame on the cable: how many bytes it has, in network order (`-netdev stream` of QEMU). */
export const prefixBytes = 4;
/** An Ethernet header. */
export const minFrameBytes = 14;
/** An IP packet of 65,535 bytes behind it. What QEMU takes from the guest in one piece may be any length. */
export const maxFrameBytes = 65_549;

/** Frames that were taken, and their bytes without the prefix. */
export interface FrameCount {
  frames: number;
  bytes: number;
}

/** More than a unix socket holds by default on Linux: one read takes all that is there. */
const readBytes = 256 * 1024;
/** A frame whose end has not come yet, moved to before the place where the next read puts it. */
const restBytes = 64 * 1024 + 1024;

/** Makes frames of what is read. They stay where the read has put them; only the last, unfinished one of a read moves. */
export class FrameBuffer {
  readonly bytes: Buffer;
  /** Where reads go. */
  readonly readArea: Buffer;
  readonly #release: () => void;
  /** What is to be looked at: from here… */
  #at = restBytes;
  /** …to here. */
  #end = restBytes;
  /** Bytes to come of a frame that is too long. */
  #skip = 0;
  tooShort = 0;
  tooLong = 0;

  constructor() {
    const { bytes, release } = allocateSummable(restBytes + readBytes);
    this.bytes = bytes;
    this.readArea = bytes.subarray(restBytes);
    this.#release = release;
  }

  /**
   * Adds what was read; only after {@link rest}.
   *
   * @param chunk at the start of `readArea`, or elsewhere: copied then, as much as has room
   * @returns how much was added
   */
  add(chunk: Uint8Array): number {
    const count = Math.min(chunk.length, readBytes);
    const isInPlace = chunk.buffer === this.readArea.buffer && chunk.byteOffset === this.readArea.byteOffset;
    if (!isInPlace) this.readArea.set(count < chunk.length ? chunk.subarray(0, count) : chunk);
    this.#end = restBytes + count;
    return count;
  }

  /** Where the next frame begins in `bytes`, behind its prefix. */
  get frameAt(): number {
    return this.#at + prefixBytes;
  }

  /**
   * The length of the next frame, which {@link take} removes. Frames that cannot be any are left out, and counted.
   *
   * @returns -1: it has not all come
   */
  next(): number {
    for (;;) {
      const skipped = Math.min(this.#skip, this.#end - this.#at);
      this.#skip -= skipped;
      this.#at += skipped;
      if (this.#end - this.#at < prefixBytes) return -1;
      const length = this.bytes.readUInt32BE(this.#at);
      if (length >= minFrameBytes && length <= maxFrameBytes)
        return this.#end - this.frameAt < length ? -1 : length;
      if (length < minFrameBytes) this.tooShort++;
      else this.tooLong++;
      this.#at += prefixBytes;
      this.#skip = length;
    }
  }

  take(length: number): void {
    this.#at += prefixBytes + length;
  }

  /** Moves what is left, less than a frame, out of the way of the next read. */
  rest(): void {
    const count = this.#end - this.#at;
    if (count > 0 && this.#end !== restBytes) this.bytes.copyWithin(restBytes - count, this.#at, this.#end);
    this.#at = restBytes - count;
    this.#end = restBytes;
  }

  release(): void {
    this.#release();
  }
}
