import { ProtocolError } from "../../errors/index.ts";
import { TreeSender, type LinkEvent } from "../fs/copy/tree-sender.ts";
import type { GuestFiles } from "../fs/guest-files.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import type { GuestStream } from "../fs/guest-stream.ts";
import { problemOf, type CopyEvent, type CopySink } from "./copy-end.ts";
import type { CopyProblems } from "./copy-problem.ts";

/** A place in a guest. What is to be there is written aside by the agent, which holds the directories on the way. */
export class GuestSink implements CopySink<CopyEvent | LinkEvent> {
  readonly #files: GuestFiles;
  readonly #stream: GuestStream;
  readonly #sender: TreeSender;
  readonly #signal: AbortSignal;
  readonly failed: Promise<never>;

  private constructor(files: GuestFiles, stream: GuestStream, signal: AbortSignal) {
    this.#files = files;
    this.#stream = stream;
    this.#sender = new TreeSender(stream, signal);
    this.#signal = signal;
    this.failed = new Promise((_, reject) => void stream.finished(signal).catch(reject));
    this.failed.catch(() => undefined);
  }

  /**
   * @param path what the tree's root becomes; the directory above must be there
   * @param keepOwners as the tree has them, else everything is root's
   * @throws SandboxFsError
   */
  static async open(
    files: GuestFiles,
    path: GuestPath,
    keepOwners: boolean,
    signal: AbortSignal,
  ): Promise<GuestSink> {
    return await files.open("copy to", path, { signal }, async (call) => {
      const kept = { keepMode: true, keepTimes: true, keepOwner: keepOwners };
      const stream = await files.stream(call, { type: "TreeReceive", path: call.path, ...kept });
      try {
        await stream.opened(call.operation.signal);
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
      return new GuestSink(files, stream, signal);
    });
  }

  async write(events: readonly (CopyEvent | LinkEvent)[]): Promise<void> {
    await this.#files.control.explainLoss(this.#sender.send(events));
  }

  async flush(): Promise<void> {
    await this.#files.control.explainLoss(this.#sender.flush());
  }

  async finish(): Promise<CopyProblems> {
    await this.#files.control.explainLoss(this.#sender.end());
    const done = await this.#files.control.explainLoss(this.#stream.finished(this.#signal));
    if (done.type !== "TreeDone") throw new ProtocolError(`the guest ended a tree with ${done.type}`);
    return { list: done.problems.map(problemOf), count: done.problemCount };
  }

  abort(reason: Error): Promise<void> {
    this.#stream.abort(reason);
    return Promise.resolve();
  }
}
