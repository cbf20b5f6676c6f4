import { mostMessage, sizes } from "./numbers.ts";
import { prefixBytes } from "./reply.ts";

/** What was sent is no message. */
export class BadStream extends Error {}

/** Cuts bytes into messages. Holds what it is given and no more. */
export class MessageStream {
  readonly #least: number;
  readonly #most: number;
  #parts: Buffer[] = [];
  #held = 0;

  /**
   * @param least bytes of a message: its header
   * @param most bytes of a message
   */
  constructor(least: number = sizes.inHeader, most: number = mostMessage) {
    this.#least = least;
    this.#most = most;
  }

  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#held += chunk.length;
  }

  /** @returns the next message; null when it is not whole yet. @throws BadStream */
  next(): { readonly mount: number; readonly message: Buffer } | null {
    if (this.#held < prefixBytes + this.#least) return null;
    const head = this.#front(prefixBytes + this.#least);
    const length = head.readUInt32LE(prefixBytes);
    if (length < this.#least || length > this.#most) throw new BadStream(`a message of ${length} bytes`);
    if (this.#held < prefixBytes + length) return null;
    const all = this.#front(prefixBytes + length);
    const rest = all.subarray(prefixBytes + length);
    this.#parts = rest.length === 0 ? [] : [rest, ...this.#parts.slice(1)];
    this.#held -= prefixBytes + length;
    return { mount: all.readUInt32LE(0), message: all.subarray(prefixBytes, prefixBytes + length) };
  }

  /** The first part, made to hold at least so many bytes. */
  #front(bytes: number): Buffer {
    const [first] = this.#parts;
    if (first !== undefined && first.length >= bytes) return first;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [whole];
    return whole;
  }
}
