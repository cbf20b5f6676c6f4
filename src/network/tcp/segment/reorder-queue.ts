import { add, distance, isAfter, isBefore } from "./sequence.ts";

interface Held {
  readonly sequence: number;
  readonly bytes: Buffer;
}

/** More pieces than a window of small segments has. */
const mostPieces = 256;

const endOf = (held: Held): number => add(held.sequence, held.bytes.length);

/**
 * Segments that came before what precedes them. The cable keeps the order, so this is for a guest that loses frames itself or that wants
 * to see what we do. What overlaps is treated as Linux does it (tcp_data_queue_ofo): bytes that are there stay, a segment that covers
 * others takes their place, and of two that overlap in part the first in sequence counts.
 */
export class ReorderQueue {
  readonly #held: Held[] = [];
  #bytes = 0;
  /** Where a FIN is that came too early. */
  #fin: number | null = null;

  get isEmpty(): boolean {
    return this.#held.length === 0 && this.#fin === null;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#bytes;
  }

  noteFin(sequence: number): void {
    this.#fin ??= sequence;
  }

  isFinAt(sequence: number): boolean {
    return this.#fin === sequence;
  }

  /** @returns false when there was no room: it must come again */
  add(sequence: number, bytes: Buffer, room: number): boolean {
    const end = add(sequence, bytes.length);
    let at = this.#held.length;
    while (at > 0) {
      const before = this.#held[at - 1];
      if (before === undefined || !isAfter(before.sequence, sequence)) break;
      at--;
    }
    const previous = this.#held[at - 1];
    if (previous !== undefined && !isAfter(end, endOf(previous))) return true;
    const from = previous?.sequence === sequence ? at - 1 : at;
    let until = at;
    let covered = from < at ? (previous?.bytes.length ?? 0) : 0;
    for (let next = this.#held[until]; next !== undefined && !isAfter(endOf(next), end);) {
      covered += next.bytes.length;
      next = this.#held[++until];
    }
    if (this.#held.length - (until - from) >= mostPieces) return false;
    if (this.#bytes - covered + bytes.length > room) return false;
    this.#held.splice(from, until - from, { sequence, bytes: Buffer.from(bytes) });
    this.#bytes += bytes.length - covered;
    return true;
  }

  /** Takes what continues at `sequence`; null: nothing does. */
  take(sequence: number): Buffer | null {
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (isAfter(first.sequence, sequence)) return null;
      this.#held.shift();
      this.#bytes -= first.bytes.length;
      if (isBefore(sequence, endOf(first))) return first.bytes.subarray(distance(sequence, first.sequence));
    }
    return null;
  }
}
