/**
 * Why an entry was not written as it came.
 *
 * - `special`: a device, a pipe or a socket
 * - `name`: a part of its path is empty, `.`, `..`, too deep, or not a name at all
 * - `order`: its directory did not come before it, or was refused itself
 * - `occupied`: something stands there that is not replaced: a directory where a file comes, anything else where a directory comes
 * - `twin`: the file system does not tell its name from that of an entry which was written before it
 * - `system`: the system refused it, such as a name that is too long or a directory that may not be written
 * - `attributes`: it is written, but its mode, owner or time could not be kept
 */
export type RefusalReason = "special" | "name" | "order" | "occupied" | "twin" | "system" | "attributes";

export interface Refusal {
  /** As it came. */
  readonly path: Uint8Array;
  readonly reason: RefusalReason;
  /** For people, without the path. */
  readonly message: string;
}

/** What became of a tree that was written. */
export interface TreeResult {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  /** Of content, holes included. */
  readonly bytes: number;
  /** At most the first thousand. */
  readonly refused: readonly Refusal[];
  /** All of them. */
  readonly refusedCount: number;
}

/** Whoever sends a tree could send as many entries that are refused as he likes. */
const keptRefusals = 1000;

/** Counts what is written and what is refused. */
export class TreeTally {
  readonly #refused: Refusal[] = [];
  #refusedCount = 0;
  files = 0;
  directories = 0;
  symlinks = 0;
  bytes = 0;

  refuse(path: Uint8Array, reason: RefusalReason, message: string): void {
    this.#refusedCount++;
    if (this.#refused.length < keptRefusals) this.#refused.push({ path: Buffer.from(path), reason, message });
  }

  get result(): TreeResult {
    const { files, directories, symlinks, bytes } = this;
    return { files, directories, symlinks, bytes, refused: this.#refused, refusedCount: this.#refusedCount };
  }
}
