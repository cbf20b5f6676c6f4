import { inspect } from "node:util";
import { OutputTooLongError } from "../../errors/index.ts";

/** How a process ended. */
export interface ExitStatus {
  /** The exit code; 128 + n for a process that signal n ended. */
  readonly code: number;
  /** code === 0 */
  readonly success: boolean;
}

/** A command that has ended, with what it printed. */
export class ExecOutput {
  /** It printed more than was to be kept, on standard output or standard error: see `maxOutput` of the command's options. */
  readonly truncated: boolean;
  readonly #code: number;
  readonly #stdout: Buffer;
  readonly #stderr: Buffer;

  constructor(code: number, stdout: Buffer, stderr: Buffer, truncated = false) {
    this.#code = code;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.truncated = truncated;
  }

  /** The exit code; 128 + n when signal n ended the command, as a shell reports it. */
  get code(): number {
    return this.#code;
  }

  get success(): boolean {
    return this.#code === 0;
  }

  get status(): ExitStatus {
    return { code: this.#code, success: this.success };
  }

  /**
   * Standard output as UTF-8; bytes that are none are replaced by U+FFFD.
   *
   * @throws OutputTooLongError for more than a string can hold, some 512 MiB, which only a raised `maxOutput` lets come so far
   */
  stdout(): string {
    return OutputTooLongError.textOf(this.#stdout, "standard output");
  }

  /** Standard error as UTF-8; bytes that are none are replaced by U+FFFD. @throws OutputTooLongError as {@link stdout} */
  stderr(): string {
    return OutputTooLongError.textOf(this.#stderr, "standard error");
  }

  stdoutBytes(): Buffer {
    return this.#stdout;
  }

  stderrBytes(): Buffer {
    return this.#stderr;
  }

  /** What console.log shows. */
  [inspect.custom](): object {
    const [stdout, stderr] = [this.#stdout, this.#stderr].map((bytes) =>
      bytes.length > mostShownBytes ? `(${bytes.length} bytes)` : bytes.toString("utf8"),
    );
    return { code: this.#code, stdout, stderr, ...(this.truncated ? { truncated: true } : {}) };
  }
}

/** More than this is of no use on a screen. */
const mostShownBytes = 64 * 1024;
