import { mostMessage, sizes } from "./fuse/numbers.ts";
import { prefixBytes } from "./fuse/reply.ts";

/** The guest has sent what no relay sends. */
export class BadStream extends Error {}

/** Cuts the guest's bytes into messages. Holds one message and no more, whatever it is given. */
export class MessageStream {
  #parts: Buffer[] = [];
  #held = 0;

  /** @returns the messages that are whole now. @throws BadStream */
  *push(chunk: Buffer): IterableIterator<{ mount: number; message: Buffer }> {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      if (this.#held < prefixBytes + sizes.inHeader) return;
      const head = this.#front(prefixBytes + sizes.inHeader);
      const length = head.readUInt32LE(prefixBytes);
      if (length < sizes.inHeader || length > mostMessage)
        throw new BadStream(`a message of ${length} bytes`);
      if (this.#held < prefixBytes + length) return;
      const all = this.#front(prefixBytes + length);
      const rest = all.subarray(prefixBytes + length);
      this.#parts = rest.length === 0 ? [] : [rest, ...this.#parts.slice(1)];
      this.#held -= prefixBytes + length;
      yield { mount: all.readUInt32LE(0), message: all.subarray(prefixBytes, prefixBytes + length) };
    }
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
