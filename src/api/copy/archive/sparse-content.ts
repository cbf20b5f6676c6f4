import type { TreeEvent } from "../../../host/tree/tree.ts";
import type { SparseMap } from "../../../image/tar/sparse.ts";

/** The content of a file of an archive, with the holes that its map tells of. */
export class SparseContent {
  readonly #size: number;
  readonly #map: SparseMap | null;
  /** Of the map: the present piece, and how much of it has come. */
  #piece = 0;
  #inPiece = 0;
  /** How far the file has been told of. */
  #at = 0;

  constructor(size: number, map: SparseMap | null) {
    this.#size = size;
    this.#map = map;
  }

  /** Takes bytes as they are stored. */
  *data(stored: Uint8Array): Generator<TreeEvent, void, undefined> {
    if (this.#map === null) {
      yield* this.#tell(stored);
      return;
    }
    for (let from = 0; from < stored.length;) {
      const length = this.#map.lengths[this.#piece] ?? 0;
      const part = stored.subarray(from, from + length - this.#inPiece);
      yield* this.#holeUntil((this.#map.offsets[this.#piece] ?? 0) + this.#inPiece);
      yield* this.#tell(part);
      from += part.length;
      this.#inPiece += part.length;
      if (this.#inPiece < length) continue;
      this.#piece++;
      this.#inPiece = 0;
    }
  }

  /** All has come. */
  *finish(): Generator<TreeEvent, void, undefined> {
    yield* this.#holeUntil(this.#size);
  }

  *#tell(bytes: Uint8Array): Generator<TreeEvent, void, undefined> {
    if (bytes.length > 0) yield { type: "data", bytes };
    this.#at += bytes.length;
  }

  *#holeUntil(end: number): Generator<TreeEvent, void, undefined> {
    if (end > this.#at) yield { type: "hole", length: end - this.#at };
    this.#at = Math.max(this.#at, end);
  }
}
