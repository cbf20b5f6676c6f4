import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import type { FileProblem } from "../../protocol/generated/messages.ts";
import { TreeRecordReader, type TreeRecord } from "../../protocol/tree-records.ts";
import type { GuestFiles, PathCall } from "../fs/guest-files.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import type { TreeEvent } from "../../host/tree/tree.ts";
import type { CopySource } from "./copy-end.ts";
import type { CopyProblem } from "./copy-problem.ts";

/** A file or a directory of a guest. */
export class GuestSource implements CopySource {
  readonly #files: GuestFiles;
  readonly #path: GuestPath;
  readonly #followLinks: boolean;
  #hasRoot = false;
  readonly problems: CopyProblem[] = [];

  /** @param followLinks all links, the path itself too; otherwise they are copied as such */
  constructor(files: GuestFiles, path: GuestPath, followLinks: boolean) {
    this.#files = files;
    this.#path = path;
    this.#followLinks = followLinks;
  }

  /** @throws SandboxFsError when the root cannot be read; ProtocolError when what comes is no tree; the signal's reason */
  read(signal: AbortSignal): AsyncGenerator<readonly TreeEvent[], void, undefined> {
    return this.#files.iterate("copy", this.#path, { signal }, (call) => this.#batches(call));
  }

  async *#batches({ operation, path }: PathCall): AsyncGenerator<readonly TreeEvent[], void, undefined> {
    const followAll = this.#followLinks;
    const request = { path, followRoot: followAll, followAll, contents: true, depth: null };
    const stream = await this.#files.stream({ operation, path }, { type: "TreeSend", ...request });
    const reader = new TreeRecordReader();
    const next = (): Promise<Buffer | null> => this.#files.control.explainLoss(stream.next(operation.signal));
    try {
      for (let chunk = await next(); chunk !== null; chunk = await next()) {
        const events = [...reader.push(chunk)].filter((record) => this.#isEvent(record));
        if (events.length > 0) yield events;
      }
      reader.end();
      // It has ended, and says here how.
      const done = await this.#files.control.explainLoss(stream.finished(operation.signal));
      if (done.type !== "TreeDone") throw new ProtocolError(`the guest ended a tree with ${done.type}`);
    } finally {
      stream.abort(new RuntimeError("nobody copies it any more"));
    }
  }

  #isEvent(record: TreeRecord): record is TreeEvent & TreeRecord {
    if (record.type === "entry") {
      if (this.#hasRoot !== record.entry.path.length > 0)
        throw new ProtocolError("the guest sent a tree that has no root, or two");
      this.#hasRoot = true;
    }
    if (record.type !== "problem") return true;
    this.problems.push(problemOf(record.problem));
    return false;
  }
}

/** What the guest says of an entry, for people. */
export function problemOf({ path, operation, message }: FileProblem): CopyProblem {
  return { path, message: `${operation}: ${message}` };
}
