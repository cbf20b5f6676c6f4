/**
 * Bytes of one slab: a segment of the largest MTU. One piece that nobody takes keeps its slab, so it is small, and of one direction of
 * one flow only.
 */
const slabBytes = 64 * 1024;
/** Slabs kept for later: 8 MiB. */
const maxFree = 128;

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
 * Memory for bytes on their way, in slabs that are used again: each piece as a buffer of its own would make V8 collect its whole heap for
 * every 64 MiB that pass (see `src/host/system/shared-read-buffer.ts`).
 */
export class Slabs {
  readonly #free: Slab[] = [];

  take(): Slab {
    return this.#free.pop() ?? { buffer: Buffer.allocUnsafeSlow(slabBytes), used: 0, pieces: 0 };
  }

  /** Nobody reads it any more. */
  give(slab: Slab): void {
    slab.used = 0;
    if (this.#free.length < maxFree) this.#free.push(slab);
  }
}

/**
 * Bytes of one flow in one direction. What a socket reads is valid only until the next read, and is copied once, one behind the other.
 * No slab has bytes of anybody else: whoever takes them in order holds at most two slabs (128 KiB) more than the bytes that wait, and
 * none when none wait. If flows shared slabs, each byte that waits could keep a whole one.
 */
export class Lane {
  readonly #slabs: Slabs;
  #current: Slab | null = null;

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
  }

  /**
   * Copies bytes, in as many pieces as are needed; the first of them is added to `last` when it lies right behind it.
   *
   * @param unit slabs are filled up to a multiple of so many bytes: see `maxSegment` of a connection
   */
  copy(bytes: Uint8Array, last: Piece | undefined, push: (piece: Piece) => void, unit = 1): void {
    const room = Math.max(slabBytes - (slabBytes % unit), 1);
    let at = 0;
    while (at < bytes.length) {
      let slab = this.#current;
      if (slab === null || slab.used >= room) slab = this.#current = this.#slabs.take();
      const count = Math.min(bytes.length - at, room - slab.used);
      const part = at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count);
      slab.buffer.set(part, slab.used);
      const start = slab.used;
      slab.used += count;
      if (at === 0 && last?.slab === slab && last.end === start) last.end += count;
      else {
        slab.pieces++;
        push({ slab, start, end: slab.used });
      }
      at += count;
    }
  }

  /** Nobody reads these bytes any more. */
  release({ slab }: Piece): void {
    slab.pieces--;
    if (slab.pieces > 0) return;
    if (slab === this.#current) this.#current = null;
    this.#slabs.give(slab);
  }
}

export function bytesOf({ slab, start, end }: Piece): Buffer {
  return slab.buffer.subarray(start, end);
}
