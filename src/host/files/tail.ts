/** Keeps the last bytes of a stream. */
export class Tail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #length = 0;

  /** @param limit how many bytes are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // Joined rarely enough that a flood of small chunks costs a constant amount per byte.
    if (this.#length > 2 * this.#limit || this.#chunks.length > 256) this.#compact();
  }

  /** The bytes as UTF-8; a character or a line cut at the start is left as it is. */
  toString(): string {
    this.#compact();
    return this.#chunks[0]?.toString("utf8") ?? "";
  }

  #compact(): void {
    const joined = Buffer.concat(this.#chunks, this.#length);
    // Copied, so that a large chunk does not stay in memory for the sake of its end.
    const kept = Buffer.from(joined.subarray(Math.max(0, joined.length - this.#limit)));
    this.#chunks = [kept];
    this.#length = kept.length;
  }
}
