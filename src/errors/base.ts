import { errorTable, type MicrosandboxErrorCode } from "./table.ts";

export interface ErrorOptionsWithHint {
  /** What the reader can do about it, one sentence or two. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The base of every error this package throws. An argument of the wrong type, or with an option that nobody reads, is an
 * `InvalidConfigError` too.
 *
 * @example
 * ```ts
 * import { MicrosandboxError, Sandbox } from "microsandbox";
 *
 * try {
 *   await Sandbox.get("missing");
 * } catch (error) {
 *   if (error instanceof MicrosandboxError) console.log(error.code, error.hint);
 * }
 * ```
 */
export class MicrosandboxError extends Error {
  readonly code: MicrosandboxErrorCode;
  /** What to do about it; empty when there is nothing to say beyond the message. */
  readonly hint: string;
  #log: readonly string[] = [];
  readonly #details: object;

  /** @param details the fields of its own, as the table of errors has them */
  constructor(
    code: MicrosandboxErrorCode,
    message: string,
    options: ErrorOptionsWithHint = {},
    details: object = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? "";
    this.#details = details;
  }

  /** The fields that the error's class adds, as the table of errors names them. @internal */
  get details(): object {
    return this.#details;
  }

  /** What had been done when it failed, a line each with the time since the call; empty where nothing was noted. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Puts what a call had done before what is noted already. @internal */
  addLog(lines: readonly string[]): void {
    this.#log = [...lines, ...this.#log];
  }

  /** From the table: who bundles a program with us in it may have classes renamed. */
  override get name(): string {
    return errorTable[this.code].class;
  }
}
