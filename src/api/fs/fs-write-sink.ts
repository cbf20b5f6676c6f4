import { RuntimeError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { bytesOf, type FsData } from "./contents.ts";
import type { FilesOwner } from "./guest-files.ts";
import type { GuestStream } from "./guest-stream.ts";

/**
 * New contents for a file in the guest. Until {@link close} the old ones are there; a sink that is aborted, or whose program ends,
 * leaves them.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("write-sink-example").image("localhost/base").replace().create();
 * const sink = await sandbox.fs().writeStream("/tmp/numbers");
 * for (let number = 0; number < 3; number++) await sink.write(`${number}\n`);
 * await sink.close();
 * console.log(await sandbox.fs().readToString("/tmp/numbers")); // 0 1 2, a line each
 * ```
 */
export class FsWriteSink implements AsyncDisposable {
  readonly #control: FilesOwner;
  readonly #stream: GuestStream;
  /** What is written goes one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #aborted = false;

  /** @internal */
  constructor(control: FilesOwner, stream: GuestStream) {
    this.#control = control;
    this.#stream = stream;
  }

  /**
   * Appends bytes, or a string as UTF-8. Resolves when they are on their way, which waits while the guest cannot take more. Given up,
   * the sink is aborted: a part of what was written in between would be missing.
   *
   * @throws SandboxFsError when the guest could not write, such as for want of space; RuntimeError after {@link close}
   */
  async write(data: FsData, options: WaitOptions = {}): Promise<void> {
    const bytes = bytesOf(data);
    await Operation.run("write to the file", options, async ({ signal }) => {
      this.#mustBeOpen();
      const before = this.#writing;
      const written = (async (): Promise<void> => {
        try {
          await unlessAborted(before, signal);
          await this.#control.explainLoss(this.#stream.write(bytes, signal));
        } catch (error) {
          if (signal.aborted) this.abort();
          throw error;
        }
      })();
      this.#writing = written;
      written.catch(() => undefined);
      await written;
    });
  }

  /**
   * Puts the file in its place with all that was written. Again does nothing more.
   *
   * @throws SandboxFsError when something could not be written: then the file is as it was, unless the error says that it
   *   could only be written in place
   */
  async close(options: WaitOptions = {}): Promise<void> {
    await Operation.run("close the file", options, async ({ signal }) => {
      if (this.#aborted) throw new RuntimeError("the file was given up");
      this.#closing ??= this.#finish();
      this.#closing.catch(() => undefined);
      await unlessAborted(this.#closing, signal);
    });
  }

  /** Gives it up: the file stays as it was. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#stream.abort(new RuntimeError("the file was given up"));
  }

  /** Closes it, unless it was aborted: after an error too, so a half that must not be seen is to be given up with {@link abort}. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#aborted) await this.close();
  }

  async #finish(): Promise<void> {
    try {
      await this.#writing;
      this.#stream.end();
      await this.#control.explainLoss(this.#stream.finished(new AbortController().signal));
    } catch (error) {
      this.#stream.abort(new RuntimeError("the file could not be written"));
      throw error;
    }
  }

  #mustBeOpen(): void {
    if (this.#aborted) throw new RuntimeError("the file was given up");
    if (this.#closing === null) return;
    throw new RuntimeError("the file is closed already", { hint: "Open it again with writeStream()." });
  }
}
