import { Operation, type WaitOptions } from "../../host/operation.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { Stream } from "../../protocol/stream.ts";

/** Where the bytes go: the command's stream. */
export type StdinTarget = Pick<Stream, "credit" | "writable" | "sendData" | "end">;

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
  readonly #isTerminal: boolean;
  readonly #stopped = new AbortController();
  #writing: Promise<void> = Promise.resolve();
  #over = false;
  #closed = false;

  /**
   * @internal
   * @param isTerminal a terminal has no end of its input that could be told: there the command decides
   */
  constructor(target: StdinTarget, isTerminal: boolean) {
    this.#target = target;
    this.#isTerminal = isTerminal;
  }

  /**
   * Writes bytes, or a string as UTF-8. Resolves when they are on their way, which waits while the command does not read.
   * Writing to a command that has closed its standard input, or has ended, is not an error: the bytes are dropped. Given up, what
   * is not on its way yet is dropped; what is written later goes on after it.
   */
  write(data: Uint8Array | string, options: WaitOptions = {}): Promise<void> {
    const bytes =
      typeof data === "string"
        ? Buffer.from(data)
        : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return Operation.run("write to the command", options, async (operation) => {
      const isLate = this.#closed;
      const before = this.#writing;
      const sent = operation.wait(before).then(() => (isLate ? undefined : this.#send(bytes, operation)));
      // Who comes later waits for what came before, given up or not, and hears of no failure but his own.
      this.#writing = Promise.allSettled([before, sent]).then(() => undefined);
      await sent;
    });
  }

  /**
   * Ends the command's standard input. On a terminal this does nothing: write 0x04 (Ctrl-D) there. Given up, it ends all the same
   * once what was written before is on its way.
   */
  close(options: WaitOptions = {}): Promise<void> {
    return Operation.run("end the command's input", options, async (operation) => {
      if (!this.#closed && !this.#isTerminal) {
        this.#closed = true;
        this.#writing = this.#writing.then(() => {
          if (!this.#over) this.#target.end();
        });
      }
      await operation.wait(this.#writing);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Nobody reads any more. */
  over(): void {
    this.#over = true;
    this.#stopped.abort();
  }

  async #send(bytes: Buffer, operation: Operation): Promise<void> {
    const signal = AbortSignal.any([this.#stopped.signal, operation.signal]);
    for (let sent = 0; sent < bytes.length;) {
      try {
        await this.#target.writable(signal);
      } catch {
        operation.throwIfOver();
        return;
      }
      // The command may close its standard input after the wait was over and before this goes on.
      if (this.#over) return;
      const count = Math.min(this.#target.credit, MAX_DATA_PAYLOAD, bytes.length - sent);
      this.#target.sendData(FrameKind.data, bytes.subarray(sent, sent + count));
      sent += count;
    }
  }
}
