import { readTree } from "../../host/tree/read-tree.ts";
import type { TreeEvent } from "../../host/tree/tree.ts";
import type { CopySource } from "./copy-end.ts";
import type { CopyProblem } from "./copy-problem.ts";

/** A file or a directory of this computer. */
export class HostSource implements CopySource {
  readonly #path: string;
  readonly #followLinks: boolean;
  readonly problems: CopyProblem[] = [];

  /** @param followLinks all links, the path itself too; otherwise they are copied as such */
  constructor(path: string, followLinks: boolean) {
    this.#path = path;
    this.#followLinks = followLinks;
  }

  /** @throws IoError when anything cannot be read */
  async *read(signal: AbortSignal): AsyncGenerator<readonly TreeEvent[], void, undefined> {
    yield* readTree(this.#path, { followRoot: this.#followLinks, followAll: this.#followLinks, signal });
  }
}
