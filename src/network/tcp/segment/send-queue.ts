/** What a small piece costs besides its bytes: the objects that keep it. */
const pieceCost = 256;

/** From this share of a segment on the rest of a piece is sent alone; a smaller one is joined with the next: a frame costs more than a copy. */
const aloneShare = 7 / 8;

/**
 * Bytes for the guest, in the pieces in which they were written, until they are acknowledged. The first are sent and wait for their
 * acknowledgment, the others wait to be sent.
 */
export class SendQueue {
  #pieces: Uint8Array[] = [];
  /** Of the first piece that is not acknowledged as a whole. */
  #first = 0;
  #acknowledged = 0;
  /** Where the first byte is that was never sent. */
  #next = 0;
  #nextOffset = 0;
  #length = 0;
  #unsent = 0;

  /** Bytes that are not acknowledged, whether sent or not. */
  get length(): number {
    return this.#length;
  }

  get unsent(): number {
    return this.#unsent;
  }

  /** Roughly the bytes of memory that it holds. */
  get cost(): number {
    return this.#length + (this.#pieces.length - this.#first) * pieceCost;
  }

  /** What lies right behind the last piece in memory is one with it: so it need not be copied to be sent with it. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const at = this.#pieces.length - 1;
    const last = this.#pieces[at];
    if (last !== undefined && this.#length > 0 && liesBehind(bytes, last)) {
      if (this.#next > at) {
        this.#next = at;
        this.#nextOffset = last.length;
      }
      this.#pieces[at] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
    } else this.#pieces.push(bytes);
    this.#length += bytes.length;
    this.#unsent += bytes.length;
  }

  /** Takes what is sent next: 1 to `most` bytes of those that were never sent. */
  next(most: number): Uint8Array {
    const bytes = this.#gather(this.#next, this.#nextOffset, most);
    this.#unsent -= bytes.length;
    [this.#next, this.#nextOffset] = this.#forward(this.#next, this.#nextOffset, bytes.length);
    return bytes;
  }

  /** What is sent again: the first 1 to `most` bytes. */
  head(most: number): Uint8Array {
    return this.#gather(this.#first, this.#acknowledged, most);
  }

  /** Forgets the first bytes; they were sent. */
  acknowledge(bytes: number): void {
    this.#length -= bytes;
    const before = this.#first;
    [this.#first, this.#acknowledged] = this.#forward(before, this.#acknowledged, bytes);
    if (this.#length === 0) {
      this.clear();
      return;
    }
    this.#pieces.fill(empty, before, this.#first);
    // The list is cut when half of it is gone, so each piece is moved once on average.
    if (this.#first > 16 && this.#first * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#next -= this.#first;
      this.#first = 0;
    }
  }

  clear(): void {
    this.#pieces = [];
    this.#first = this.#acknowledged = this.#next = this.#nextOffset = this.#length = this.#unsent = 0;
  }

  #forward(piece: number, offset: number, bytes: number): [piece: number, offset: number] {
    let left = bytes + offset;
    let at = piece;
    for (;;) {
      const size = this.#pieces[at]?.length;
      if (size === undefined || left < size) return [at, left];
      left -= size;
      at++;
    }
  }

  /** Without a copy where the piece is long enough to be worth a segment; small ones are joined. */
  #gather(piece: number, offset: number, most: number): Uint8Array {
    const first = this.#pieces[piece] ?? empty;
    const rest = first.length - offset;
    if (rest >= most) return first.subarray(offset, offset + most);
    if (rest >= most * aloneShare || piece + 1 >= this.#pieces.length) return first.subarray(offset);
    const joined = Buffer.allocUnsafe(Math.min(most, this.#bytesFrom(piece, offset, most)));
    let filled = 0;
    let at = piece;
    let from = offset;
    while (filled < joined.length) {
      const part = (this.#pieces[at++] ?? empty).subarray(from, from + joined.length - filled);
      joined.set(part, filled);
      filled += part.length;
      from = 0;
    }
    return joined;
  }

  /** How many there are from a place on, counted up to `most`. */
  #bytesFrom(piece: number, offset: number, most: number): number {
    let bytes = -offset;
    for (let at = piece; at < this.#pieces.length && bytes < most; at++)
      bytes += this.#pieces[at]?.length ?? 0;
    return bytes;
  }
}

function liesBehind(bytes: Uint8Array, last: Uint8Array): boolean {
  return bytes.buffer === last.buffer && bytes.byteOffset === last.byteOffset + last.length;
}

const empty = new Uint8Array(0);
