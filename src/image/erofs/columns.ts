/** Numbers of one kind for many things, by index: a tenth of the memory of an object for each. */
export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Columns that are longer than this grow to their full length at once, if that is no more than 16 times as long. */
const smallColumn = 1 << 16;

/**
 * How long the columns of a table are to be when they are full. The system gives a column no memory before it is written,
 * so beyond a small one, which an ordinary image never fills, its full length costs nothing, while doubling would leave
 * the old columns to the garbage collector until it comes.
 *
 * @param maximum how many there will be at most, as far as that is known
 */
export function nextLength(length: number, maximum: number): number {
  return length < smallColumn ? length * 2 : Math.min(Math.max(maximum, length * 2), length * 16);
}

/** A longer copy of a column. */
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
    const at = this.#reserve(text.length);
    this.#piece(at).write(text, at % pieceBytes, "latin1");
    return at;
  }

  /** @param bytes at most a piece of them, 1 MiB */
  appendBytes(bytes: Uint8Array): number {
    const at = this.#reserve(bytes.length);
    this.#piece(at).set(bytes, at % pieceBytes);
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

  #reserve(length: number): number {
    if (this.#used + Math.max(length, 1) > pieceBytes) {
      this.#pieces.push(Buffer.alloc(pieceBytes));
      this.#used = 0;
    }
    const at = (this.#pieces.length - 1) * pieceBytes + this.#used;
    this.#used += length;
    return at;
  }

  #piece(at: number): Buffer {
    const piece = this.#pieces[Math.floor(at / pieceBytes)];
    if (piece === undefined) throw new RangeError(`no string stands at ${at}`);
    return piece;
  }
}

const pieceBytes = 1 << 20;

/** Rows of numbers in pieces, as {@link ByteArena} keeps strings. */
export class NumberArena {
  readonly #pieces: Uint32Array[] = [];
  #used = pieceNumbers;

  /** @param count at most a piece of them, 262,144 @returns where the row stands, which is all zeros */
  add(count: number): number {
    if (this.#used + Math.max(count, 1) > pieceNumbers) {
      this.#pieces.push(new Uint32Array(pieceNumbers));
      this.#used = 0;
    }
    const at = (this.#pieces.length - 1) * pieceNumbers + this.#used;
    this.#used += count;
    return at;
  }

  /** The row itself, not a copy. */
  row(at: number, count: number): Uint32Array {
    const piece = this.#pieces[Math.floor(at / pieceNumbers)];
    if (piece === undefined) throw new RangeError(`no row stands at ${at}`);
    const start = at % pieceNumbers;
    return piece.subarray(start, start + count);
  }
}

const pieceNumbers = pieceBytes / 4;
