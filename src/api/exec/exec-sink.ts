import { MAX_BULK_PAYLOAD } from "../../protocol/frame.ts";
import { SendCredit } from "../../protocol/credit.ts";

/** Where the bytes go. */
export interface StdinTarget {
  send(bytes: Buffer): void;
  end(): void;
}

/**
 * A command's standard input.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("sink-example").image("localhost/base").replace().create();
 * const handle = await sandbox.execStreamWith("wc", (e) => e.arg("-c").stdinPipe());
 * const stdin = handle.takeStdin();
 * await stdin?.write("four");
 * await stdin?.close();
 * console.log((await handle.collect()).stdout().trim()); // "4"
 * ```
 */
export class ExecSink implements AsyncDisposable {
  readonly #target: StdinTarget;
  readonly #credit = new SendCredit();
  #writing: Promise<void> = Promise.resolve();
  #over = false;
  #closed = false;

  /** @internal */
  constructor(target: StdinTarget) {
    this.#target = target;
  }

  /**
   * Writes bytes, or a string as UTF-8. Resolves when they are on their way, which waits while the command does not read.
   * Writing to a command that has closed its standard input, or has ended, is not an error: the bytes are dropped.
   */
  write(data: Uint8Array | string): Promise<void> {
    const bytes =
      typeof data === "string"
        ? Buffer.from(data)
        : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    this.#writing = this.#writing.then(() => this.#send(bytes));
    return this.#writing;
  }

  /** Ends the command's standard input. On a terminal this does nothing: write 0x04 (Ctrl-D) there. */
  close(): Promise<void> {
    if (this.#closed) return this.#writing;
    this.#closed = true;
    this.#writing = this.#writing.then(() => {
      if (!this.#over) this.#target.end();
    });
    return this.#writing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal The command can take so many more bytes. */
  grant(bytes: number): void {
    this.#credit.grant(bytes);
  }

  /** @internal Nobody reads any more. */
  over(): void {
    this.#over = true;
    this.#credit.close(new Error("nobody reads any more"));
  }

  async #send(bytes: Buffer): Promise<void> {
    let sent = 0;
    while (sent < bytes.length && !this.#over) {
      let taken: number;
      try {
        await this.#credit.wait();
        // The command may close its standard input after the wait was over and before this goes on.
        taken = this.#credit.take(Math.min(MAX_BULK_PAYLOAD, bytes.length - sent));
      } catch {
        return;
      }
      this.#target.send(bytes.subarray(sent, sent + taken));
      sent += taken;
    }
  }
}
