/** What a small piece costs besides its bytes: the objects that keep it. */
const pieceCost = 256;

/** A segment of more pieces is joined to one: in a frame, each costs as much as copying a few KiB, and 65,535 of a byte are possible. */
const mostPieces = 4;

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

  /** Takes what is sent next: so many bytes of those that were never sent, where they lie. */
  next(bytes: number): readonly Uint8Array[] {
    const pieces = this.#gather(this.#next, this.#nextOffset, bytes);
    this.#unsent -= bytes;
    [this.#next, this.#nextOffset] = this.#forward(this.#next, this.#nextOffset, bytes);
    return pieces;
  }

  /** What is sent again: so many of the first bytes, which were sent. */
  head(bytes: number): readonly Uint8Array[] {
    return this.#gather(this.#first, this.#acknowledged, bytes);
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

  #gather(piece: number, offset: number, bytes: number): readonly Uint8Array[] {
    const parts: Uint8Array[] = [];
    let missing = bytes;
    let from = offset;
    for (let at = piece; missing > 0 && at < this.#pieces.length; at++) {
      const part = (this.#pieces[at] ?? empty).subarray(from, from + missing);
      parts.push(part);
      missing -= part.length;
      from = 0;
    }
    return parts.length > mostPieces ? [Buffer.concat(parts, bytes)] : parts;
  }
}

function liesBehind(bytes: Uint8Array, last: Uint8Array): boolean {
  return bytes.buffer === last.buffer && bytes.byteOffset === last.byteOffset + last.length;
}

const empty = new Uint8Array(0);
