import { RuntimeError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { untilLeft } from "../../host/until-left.ts";
import { fileChangeKinds, type FileChange } from "../../protocol/generated/messages.ts";
import type { FilesOwner } from "./guest-files.ts";
import { isTextPath, joinPath, pathText } from "./guest-path.ts";
import type { GuestStream } from "./guest-stream.ts";

/**
 * What can happen, as inotify(7) tells it. `closed`: a file that was open for writing was closed. `movedFrom`, `movedTo`: the two halves
 * of a rename, of which only one is here when the other directory is not watched. `gone`: what was watched was removed, renamed or
 * unmounted; it is the last event. `overflow`: more happened than the guest keeps (16,384 events): look at the directory again.
 */
export const FsChangeKinds = fileChangeKinds;
export type FsChangeKind = (typeof FsChangeKinds)[number];

export interface FsChange {
  readonly kind: FsChangeKind;
  /** What it happened to. Bytes that are no UTF-8 are U+FFFD here. */
  readonly path: string;
  readonly pathBytes: Uint8Array;
  /** Whether `path` says all of it. */
  readonly isUtf8: boolean;
  readonly isDirectory: boolean;
  /** The same number in both halves of a rename; 0 for all else. */
  readonly cookie: number;
}

/** Tells what happens to a file, or in a directory. What nobody takes waits in the guest. */
export class FsWatcher implements AsyncDisposable, AsyncIterable<FsChange> {
  readonly #control: FilesOwner;
  readonly #stream: GuestStream;
  readonly #path: Uint8Array;
  readonly #changes: FsChange[] = [];
  /** Changes were asked for and have not come. */
  #asked = false;
  readonly #closing = new AbortController();
  /** Those who ask at the same time are answered one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(control: FilesOwner, stream: GuestStream, path: Uint8Array) {
    this.#control = control;
    this.#stream = stream;
    this.#path = path;
  }

  /** The next change, in order; null when nothing more can come. @throws SandboxNotRunningError */
  async recv(options: WaitOptions = {}): Promise<FsChange | null> {
    return await Operation.run("wait for a change", options, async ({ signal }) => {
      const before = this.#turn;
      const next = unlessAborted(before, signal).then(() => this.#next(signal));
      // Whoever gives up leaves before his turn; those after him wait for those before him all the same.
      this.#turn = Promise.allSettled([before, next]);
      return await next;
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<FsChange> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  /** Watches no longer. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#stream.abort(new RuntimeError("nobody watches any more"));
    return Promise.resolve();
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #next(signal: AbortSignal): Promise<FsChange | null> {
    for (;;) {
      const change = this.#changes.shift();
      if (change !== undefined) return change;
      if (this.#isClosed()) return null;
      try {
        // One who gives up leaves the question to the next one.
        const asked = this.#asked;
        this.#asked = true;
        const more = await this.#control.explainLoss(
          asked ? this.#stream.moreChanges(signal) : this.#stream.changes(signal),
        );
        if (more === null) return null;
        this.#asked = false;
        for (const one of more.changes) this.#changes.push(this.#changeOf(one));
      } catch (error) {
        if (this.#isClosed()) return null;
        throw error;
      }
    }
  }

  #changeOf({ kind, name, isDirectory, cookie }: FileChange): FsChange {
    const pathBytes = joinPath(this.#path, name);
    return { kind, path: pathText(pathBytes), pathBytes, isUtf8: isTextPath(pathBytes), isDirectory, cookie };
  }
}
