import { RuntimeError } from "../../errors/index.ts";
import { receiveTree } from "../fs/copy/receive-tree.ts";
import type { GuestFiles, PathCall } from "../fs/guest-files.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import { problemOf, type CopyEvent, type CopySource } from "./copy-end.ts";
import { ProblemList } from "./copy-problem.ts";

/** A file or a directory of a guest. */
export class GuestSource implements CopySource {
  readonly #files: GuestFiles;
  readonly #path: GuestPath;
  readonly #followLinks: boolean;
  readonly problems = new ProblemList();

  /** @param followLinks all links, the path itself too; otherwise they are copied as such */
  constructor(files: GuestFiles, path: GuestPath, followLinks: boolean) {
    this.#files = files;
    this.#path = path;
    this.#followLinks = followLinks;
  }

  /** @throws SandboxFsError when the root cannot be read; ProtocolError when what comes is no tree; the signal's reason */
  read(signal: AbortSignal): AsyncGenerator<readonly CopyEvent[], void, undefined> {
    return this.#files.iterate("copy", this.#path, { signal }, (call) => this.#batches(call));
  }

  async *#batches({ operation, path }: PathCall): AsyncGenerator<readonly CopyEvent[], void, undefined> {
    const followAll = this.#followLinks;
    const request = { path, followRoot: followAll, followAll, contents: true, depth: null };
    const stream = await this.#files.stream({ operation, path }, { type: "TreeSend", ...request });
    const batches = receiveTree(stream, operation.signal, (problem) => {
      this.problems.add(problemOf(problem));
    });
    try {
      for (;;) {
        const batch = await this.#files.control.explainLoss(batches.next());
        if (batch.done === true) return;
        yield batch.value;
      }
    } finally {
      stream.abort(new RuntimeError("nobody copies it any more"));
    }
  }
}
