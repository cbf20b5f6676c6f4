/** In bytes: what one piece of memory has at least and at most. */
const leastPiece = 1024;
const mostPiece = 64 * 1024;

/**
 * Bytes that wait for whoever takes them, joined as they come: a peer that says little at a time costs as little memory as one that says
 * the same at once. They are held in at most twice their number and 64 KiB, however many segments they came in; each as a
 * buffer of its own would take some 150 bytes for a single one.
 */
export class JoinedBytes {
  /** Full, but for the last, of which `#used` are. */
  #pieces: Buffer[] = [];
  #used = 0;
  #length = 0;

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  /** Copies them behind the others. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      let last = this.#pieces.at(-1);
      if (last === undefined || this.#used === last.length) {
        const wanted = Math.max(leastPiece, this.#length, bytes.length - at);
        last = Buffer.allocUnsafeSlow(Math.min(wanted, mostPiece));
        this.#pieces.push(last);
        this.#used = 0;
      }
      const count = Math.min(bytes.length - at, last.length - this.#used);
      last.set(bytes.subarray(at, at + count), this.#used);
      this.#used += count;
      this.#length += count;
      at += count;
    }
  }

  /** @returns the oldest, up to 64 KiB, which are the taker's; null when none wait */
  take(): Buffer | null {
    const piece = this.#pieces.shift();
    if (piece === undefined) return null;
    const count = this.#pieces.length > 0 ? piece.length : this.#used;
    this.#length -= count;
    // Whoever keeps them keeps the whole piece.
    return count * 2 < piece.length ? Buffer.from(piece.subarray(0, count)) : piece.subarray(0, count);
  }

  clear(): void {
    this.#pieces = [];
    this.#used = this.#length = 0;
  }
}
