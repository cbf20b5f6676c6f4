import { RuntimeError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { untilLeft } from "../../host/until-left.ts";
import type { FilesOwner } from "./guest-files.ts";
import type { GuestStream } from "./guest-stream.ts";

/**
 * The contents of a file in the guest, as they arrive: at most 512 KiB wait here, the guest reads on when they are taken.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("read-stream-example").image("localhost/base").replace().create();
 * let bytes = 0;
 * for await (const chunk of await sandbox.fs().readStream("/bin/busybox")) bytes += chunk.length;
 * console.log(bytes > 0); // true
 * ```
 */
export class FsReadStream implements AsyncDisposable, AsyncIterable<Buffer> {
  /** Of the file when it was opened, bytes; files of `/proc` say 0. */
  readonly size: number;
  readonly #control: FilesOwner;
  readonly #stream: GuestStream;
  #closed = false;

  /** @internal */
  constructor(control: FilesOwner, stream: GuestStream, size: number) {
    this.#control = control;
    this.#stream = stream;
    this.size = size;
  }

  /** The next bytes, at most 64 KiB; null at the end, and ever after. @throws SandboxFsError, SandboxNotRunningError */
  async recv(options: WaitOptions = {}): Promise<Buffer | null> {
    return await Operation.run("read the file", options, async ({ signal }) => {
      if (this.#closed) return null;
      return await this.#control.explainLoss(this.#stream.next(signal));
    });
  }

  /** All that has not been taken yet. */
  async collect(options: WaitOptions = {}): Promise<Buffer> {
    return await Operation.run("read the file", options, async ({ signal }) => {
      const chunks: Buffer[] = [];
      for (let chunk = await this.recv({ signal }); chunk !== null; chunk = await this.recv({ signal }))
        chunks.push(chunk);
      return Buffer.concat(chunks);
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  /** Stops reading. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#stream.abort(new RuntimeError("the stream was closed"));
    return Promise.resolve();
  }
}
