/**
 * Cuts a byte stream only between UTF-8 characters, so that each logged piece is text when the stream is. Keeps back at
 * most three bytes. RFC 3629, section 3.
 */
export class Utf8Chunks {
  #kept: Buffer = Buffer.alloc(0);

  /** @returns what is whole so far, possibly empty */
  push(chunk: Buffer): Buffer {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const cut = bytes.length - incompleteTail(bytes);
    this.#kept = Buffer.from(bytes.subarray(cut));
    return bytes.subarray(0, cut);
  }

  /** What was kept back. */
  end(): Buffer {
    const rest = this.#kept;
    this.#kept = Buffer.alloc(0);
    return rest;
  }
}

/** How many bytes at the end begin a character that is not complete. */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
