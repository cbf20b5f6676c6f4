import { lstat } from "node:fs/promises";
import { IoError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";
import { readTree } from "../../host/tree/read-tree.ts";
import type { TreeEvent } from "../../host/tree/tree.ts";
import type { CopySource } from "./copy-end.ts";
import { ProblemList } from "./copy-problem.ts";

/** A file or a directory of this computer. */
export class HostSource implements CopySource {
  readonly #path: string;
  readonly #followLinks: boolean;
  readonly problems = new ProblemList();

  /** @param followLinks all links, the path itself too; otherwise they are copied as such */
  constructor(path: string, followLinks: boolean) {
    this.#path = path;
    this.#followLinks = followLinks;
  }

  /** @throws IoError when anything cannot be read */
  async *read(signal: AbortSignal): AsyncGenerator<readonly TreeEvent[], void, undefined> {
    const isThere = await lstat(this.#path).then(
      () => true,
      (error: unknown) => errorCode(error) !== "ENOENT",
    );
    if (!isThere)
      throw new IoError(`there is no ${this.#path} on this computer`, { hint: "Name a file or directory." });
    yield* readTree(this.#path, {
      followRoot: this.#followLinks,
      followAll: this.#followLinks,
      recycle: true,
      signal,
    });
  }
}
