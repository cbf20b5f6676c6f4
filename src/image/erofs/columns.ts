/** Numbers of one kind for many things, by index: a tenth of the memory of an object for each. */
export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** A longer copy of a column. The system gives its new part no memory before it is written. */
export function longer<T extends Column>(column: T, length: number): T {
  const copy = new (column.constructor as new (length: number) => T)(length);
  copy.set(column);
  return copy;
}

/** Bytes of many short strings, in pieces, so that growing copies nothing. Strings are bytes as Latin-1. */
export class ByteArena {
  readonly #pieces: Buffer[] = [];
  #used = pieceBytes;

  /** @returns where it stands; a string never crosses a piece */
  append(text: string): number {
    if (this.#used + text.length > pieceBytes) {
      this.#pieces.push(Buffer.alloc(pieceBytes));
      this.#used = 0;
    }
    const piece = this.#pieces.length - 1;
    this.#pieces[piece]?.write(text, this.#used, "latin1");
    const at = piece * pieceBytes + this.#used;
    this.#used += text.length;
    return at;
  }

  text(at: number, length: number): string {
    const start = at % pieceBytes;
    return this.#piece(at).toString("latin1", start, start + length);
  }

  bytes(at: number, length: number): Buffer {
    const start = at % pieceBytes;
    return this.#piece(at).subarray(start, start + length);
  }

  equals(at: number, length: number, text: string): boolean {
    if (length !== text.length) return false;
    const piece = this.#piece(at);
    const start = at % pieceBytes;
    for (let index = 0; index < length; index++) {
      if (piece[start + index] !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Order of two strings by their bytes. */
  compare(a: number, aLength: number, b: number, bLength: number): number {
    const aStart = a % pieceBytes;
    const bStart = b % pieceBytes;
    return this.#piece(a).compare(this.#piece(b), bStart, bStart + bLength, aStart, aStart + aLength);
  }

  #piece(at: number): Buffer {
    const piece = this.#pieces[Math.floor(at / pieceBytes)];
    if (piece === undefined) throw new RangeError(`no string stands at ${at}`);
    return piece;
  }
}

const pieceBytes = 1 << 20;
