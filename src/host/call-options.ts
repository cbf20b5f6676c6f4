import { InvalidConfigError } from "../errors/index.ts";

/** How long a caller waits for something, and how he changes his mind. */
export interface WaitOptions {
  /** Aborted: the call fails with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** After so many ms the call fails with OperationTimeoutError; 0: before it has begun. Not given: each call's own limits hold. */
  readonly timeoutMs?: number | undefined;
}

/** What a call takes beside {@link WaitOptions}, by name; `any`: the call looks at the value itself. */
export type OtherOptions = Readonly<Record<string, "function" | "boolean" | "any">>;

/**
 * Refuses options that a call would not read, or could not use: in JavaScript nobody else does, and what was meant would be left
 * out in silence.
 *
 * @param call what was called for, in a few words, for errors
 * @throws InvalidConfigError
 */
export function checkCallOptions(call: string, options: unknown, others: OtherOptions = {}): void {
  const known = ["signal", "timeoutMs", ...Object.keys(others)];
  const hint = `This call takes ${known.join(", ")}.`;
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new InvalidConfigError(`the options of "${call}" are no object`, { hint });
  for (const [key, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined) continue;
    if (!known.includes(key))
      throw new InvalidConfigError(`"${call}" has no option ${JSON.stringify(key)}`, { hint });
    const kind = Object.hasOwn(others, key) ? others[key] : "any";
    if (kind !== "any" && typeof value !== kind)
      throw new InvalidConfigError(`the option ${key} of "${call}" is no ${kind}`, { hint });
  }
  checkWait(call, options);
}

function checkWait(call: string, { signal, timeoutMs }: { signal?: unknown; timeoutMs?: unknown }): void {
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw new InvalidConfigError(`the signal of "${call}" is no AbortSignal`, {
      hint: "Give the signal of an AbortController, and timeoutMs for a limit.",
    });
  }
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs >= 0)) return;
  throw new InvalidConfigError(
    `the timeoutMs of "${call}" is ${typeof timeoutMs === "number" ? timeoutMs : `of type ${typeof timeoutMs}`}, which is no time`,
    {
      hint: "Give milliseconds, 0 or more.",
    },
  );
}

/** By what it can do: one of another realm is an instance of another class. */
function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "aborted") === "boolean" &&
    typeof Reflect.get(value, "addEventListener") === "function"
  );
}
