import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { crc32Zeros } from "../../host/files/crc32.ts";
import { blockBytes } from "./format.ts";

/** Written to the file in one go. */
const bufferBytes = 1 << 20;
/** Buffers that may wait to be written before {@link BlockWriter.drained} waits. */
const maximumQueued = 4;
/** Longer runs of zeros become a hole of the file. */
const holeBytes = 1 << 16;

/**
 * Appends to a new file. Appending copies and returns; writing goes on beside it. Whoever appends waits for
 * {@link drained} now and then.
 */
export class BlockWriter {
  readonly #file: FileHandle;
  #buffer: Buffer = Buffer.allocUnsafe(bufferBytes);
  #filled = 0;
  /** Of the buffer's start in the file. */
  #position: number;
  readonly #spare: Buffer[] = [];
  readonly #queue: Promise<void>[] = [];
  #checksum = 0;

  /** @param position bytes; what is before is written by someone else */
  constructor(file: FileHandle, position: number) {
    this.#file = file;
    this.#position = position;
  }

  /** Where the next byte goes, in bytes. */
  get position(): number {
    return this.#position + this.#filled;
  }

  /** CRC-32 of what has been written: of everything after {@link finish}. */
  get checksum(): number {
    return this.#checksum;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(bytes.length - at, bufferBytes - this.#filled);
      this.#buffer.set(
        at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count),
        this.#filled,
      );
      this.#filled += count;
      at += count;
      if (this.#filled === bufferBytes) this.#flush();
    }
  }

  zeros(count: number): void {
    if (count >= holeBytes) {
      this.#flush();
      this.#position += count;
      this.#checksum = crc32Zeros(count, this.#checksum);
      return;
    }
    for (let left = count; left > 0;) {
      const part = Math.min(left, bufferBytes - this.#filled);
      this.#buffer.fill(0, this.#filled, this.#filled + part);
      this.#filled += part;
      left -= part;
      if (this.#filled === bufferBytes) this.#flush();
    }
  }

  /** Zeros up to the next block. @returns that block's address */
  align(): number {
    this.zeros(-this.position & (blockBytes - 1));
    return this.position / blockBytes;
  }

  /** Room for `count` bytes that are written in place, to save a copy; at most 64 KiB. */
  reserve(count: number): { readonly buffer: Buffer; readonly at: number } {
    if (this.#filled + count > bufferBytes) this.#flush();
    const at = this.#filled;
    this.#filled += count;
    return { buffer: this.#buffer, at };
  }

  /** Resolves when there is room to go on. Rejects when a write failed. */
  async drained(): Promise<void> {
    while (this.#queue.length > maximumQueued) await this.#queue.shift();
  }

  /** Resolves when all is handed to the system. */
  async finish(): Promise<void> {
    this.#flush();
    while (this.#queue.length > 0) await this.#queue.shift();
  }

  #flush(): void {
    if (this.#filled === 0) return;
    const buffer = this.#buffer;
    this.#checksum = crc32(buffer.subarray(0, this.#filled), this.#checksum);
    const write = this.#write(buffer, this.#filled, this.#position);
    // A failure is reported by whoever takes the promise from the queue.
    write.catch(() => undefined);
    this.#queue.push(write);
    this.#position += this.#filled;
    this.#filled = 0;
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafe(bufferBytes);
  }

  async #write(buffer: Buffer, length: number, position: number): Promise<void> {
    for (let at = 0; at < length;) {
      const { bytesWritten } = await this.#file.write(buffer, at, length - at, position + at);
      at += bytesWritten;
    }
    this.#spare.push(buffer);
  }
}
