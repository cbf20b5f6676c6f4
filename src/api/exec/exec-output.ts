import { inspect } from "node:util";

/** How a process ended. */
export interface ExitStatus {
  /** The exit code; 128 + n for a process that signal n ended. */
  readonly code: number;
  /** code === 0 */
  readonly success: boolean;
}

/** A command that has ended, with everything it printed. */
export class ExecOutput {
  readonly #code: number;
  readonly #stdout: Buffer;
  readonly #stderr: Buffer;

  constructor(code: number, stdout: Buffer, stderr: Buffer) {
    this.#code = code;
    this.#stdout = stdout;
    this.#stderr = stderr;
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

  /** Standard output as UTF-8; bytes that are none are replaced by U+FFFD. */
  stdout(): string {
    return this.#stdout.toString("utf8");
  }

  /** Standard error as UTF-8; bytes that are none are replaced by U+FFFD. */
  stderr(): string {
    return this.#stderr.toString("utf8");
  }

  stdoutBytes(): Buffer {
    return this.#stdout;
  }

  stderrBytes(): Buffer {
    return this.#stderr;
  }

  /** What console.log shows. */
  [inspect.custom](): object {
    return { code: this.#code, stdout: this.stdout(), stderr: this.stderr() };
  }
}
