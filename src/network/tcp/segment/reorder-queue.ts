import { add, distance, isAfter } from "./sequence.ts";

/** A piece of what the guest sends. */
export interface Held {
  readonly sequence: number;
  readonly bytes: Buffer;
  /** Nothing follows. */
  readonly isLast: boolean;
}

/** More pieces than a window of small segments has. */
const mostPieces = 256;

function endOf({ sequence, bytes, isLast }: Held): number {
  return add(sequence, bytes.length + (isLast ? 1 : 0));
}

/**
 * Segments that came before what precedes them. The cable keeps the order, so this is for a guest that loses frames itself or that wants
 * to see what we do. What overlaps is treated as Linux does it (tcp_data_queue_ofo): bytes that are there stay, a segment that covers
 * others takes their place, and of two that overlap in part the first in sequence counts.
 */
export class ReorderQueue {
  readonly #held: Held[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps a copy.
   *
   * @param room bytes that all may have; who has none must come again
   */
  add(sequence: number, bytes: Buffer, isLast: boolean, room: number): void {
    const end = add(sequence, bytes.length + (isLast ? 1 : 0));
    let at = this.#held.length;
    while (at > 0 && isAfter(this.#held[at - 1]?.sequence ?? sequence, sequence)) at--;
    const previous = this.#held[at - 1];
    if (previous !== undefined && !isAfter(end, endOf(previous))) return;
    const from = previous?.sequence === sequence ? at - 1 : at;
    let covered = from < at ? (previous?.bytes.length ?? 0) : 0;
    for (let next = this.#held[at]; next !== undefined && !isAfter(endOf(next), end); next = this.#held[at]) {
      covered += next.bytes.length;
      at++;
    }
    if (this.#held.length - (at - from) >= mostPieces || this.#bytes - covered + bytes.length > room) return;
    this.#held.splice(from, at - from, { sequence, bytes: Buffer.from(bytes), isLast });
    this.#bytes += bytes.length - covered;
  }

  /** Takes what continues at `sequence`; null: nothing does. */
  take(sequence: number): Held | null {
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (isAfter(first.sequence, sequence)) return null;
      this.#held.shift();
      this.#bytes -= first.bytes.length;
      if (isAfter(endOf(first), sequence))
        return {
          sequence,
          bytes: first.bytes.subarray(distance(sequence, first.sequence)),
          isLast: first.isLast,
        };
    }
    return null;
  }
}
