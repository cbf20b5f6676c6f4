/** Bytes of one slab. A piece that nobody takes keeps its slab, so it is small. */
const slabBytes = 256 * 1024;
/** Slabs kept for later: 8 MiB. */
const maxFree = 32;

interface Slab {
  readonly buffer: Buffer;
  used: number;
  /** Pieces of it that somebody has yet to read. */
  pieces: number;
}

/** Bytes that were copied and that are somebody's until he gives them back. */
export interface Piece {
  readonly slab: Slab;
  readonly start: number;
  end: number;
}

/**
 * Memory for bytes on their way, the same for all flows and both directions. What a socket reads is valid only until the next read, and
 * is copied once, one behind the other, into slabs that are used again: each piece as a buffer of its own would make V8 collect its whole
 * heap for every 64 MiB that pass (see `src/host/system/shared-read-buffer.ts`).
 */
export class Slabs {
  #current: Slab | null = null;
  readonly #free: Slab[] = [];

  /** Copies bytes, in as many pieces as are needed; the first of them is added to `last` when it lies right behind it. */
  copy(bytes: Uint8Array, last: Piece | undefined, push: (piece: Piece) => void): void {
    let at = 0;
    while (at < bytes.length) {
      const slab = this.#roomy();
      const count = Math.min(bytes.length - at, slabBytes - slab.used);
      const part = at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count);
      slab.buffer.set(part, slab.used);
      if (at === 0 && last?.slab === slab && last.end === slab.used) last.end += count;
      else {
        slab.pieces++;
        push({ slab, start: slab.used, end: slab.used + count });
      }
      slab.used += count;
      at += count;
    }
  }

  /** Nobody reads these bytes any more. */
  release({ slab }: Piece): void {
    slab.pieces--;
    if (slab.pieces > 0) return;
    slab.used = 0;
    if (slab !== this.#current && this.#free.length < maxFree) this.#free.push(slab);
  }

  #roomy(): Slab {
    if (this.#current !== null && this.#current.used < slabBytes) return this.#current;
    this.#current = this.#free.pop() ?? {
      buffer: Buffer.allocUnsafeSlow(slabBytes),
      used: 0,
      pieces: 0,
    };
    return this.#current;
  }
}

export function bytesOf({ slab, start, end }: Piece): Buffer {
  return slab.buffer.subarray(start, end);
}
