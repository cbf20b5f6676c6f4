import type { TreeEntry } from "../../../host/tree/tree.ts";
import { isBelow, parentOf, pathFault, samePath } from "../../../host/tree/tree-path.ts";

/**
 * Holds a tree that somebody sends to its form: names that are such, and everything in a directory that came before it. So nothing
 * in an archive goes through a link that is in it, too.
 */
export class TreeOrder {
  /** The directories that the last entry was in. */
  readonly #way: Uint8Array[] = [];
  #hasRoot = false;

  /** What is wrong with the next entry; null when it has its place. */
  fault({ path, kind }: TreeEntry): string | null {
    const isRoot = path.length === 0;
    const fault = pathFault(path);
    if (fault !== null) return fault;
    if (isRoot && this.#hasRoot) return "it is a second root";
    for (let last = this.#way.at(-1); last !== undefined && !isBelow(path, last); last = this.#way.at(-1)) {
      this.#way.pop();
    }
    const parent = this.#way.at(-1);
    if (!isRoot && (parent === undefined || !samePath(parent, parentOf(path))))
      return "its directory did not come before it";
    this.#hasRoot = true;
    if (kind === "directory") this.#way.push(Buffer.from(path));
    return null;
  }
}
