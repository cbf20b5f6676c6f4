/** Messages as they are in a stream of TCP: each behind its length in two bytes (RFC 1035, 4.2.2). */
export class DnsFrames {
  readonly #longest: number;
  #prefix: number | null = null;
  #message: Buffer | null = null;
  #filled = 0;

  /** @param longest bytes of a message that is taken */
  constructor(longest = 65535) {
    this.#longest = longest;
  }

  /**
   * Copies bytes as they come, cut anywhere.
   *
   * @returns the messages that are whole now, maybe empty ones; null when one is longer than is taken: then nothing more can be read
   */
  push(chunk: Buffer): Buffer[] | null {
    const whole: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#message === null) {
        const byte = chunk[at++] ?? 0;
        if (this.#prefix === null) {
          this.#prefix = byte;
          continue;
        }
        const length = (this.#prefix << 8) | byte;
        if (length > this.#longest) return null;
        this.#message = Buffer.allocUnsafe(length);
        this.#filled = 0;
      } else {
        const copied = chunk.copy(this.#message, this.#filled, at);
        this.#filled += copied;
        at += copied;
      }
      if (this.#filled < this.#message.length) continue;
      whole.push(this.#message);
      this.#message = this.#prefix = null;
    }
    return whole;
  }
}

/** A message with its length before it. */
export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeUInt16BE(message.length, 0);
  message.copy(bytes, 2);
  return bytes;
}
