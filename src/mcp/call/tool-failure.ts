import { ExecTimeoutError, MicrosandboxError, type MicrosandboxErrorCode } from "../../errors/index.ts";
import { agentHints } from "./agent-hints.ts";

/** What went wrong, in a word that an agent can decide by. `error.details.error` has the package's own code beside it. */
export type ToolFailureCode =
  | "operation_failed"
  | "exec_failed"
  | "invalid_input"
  | "host_path_denied"
  | "dangerous_operation_disabled"
  | "confirmation_required"
  | "cancelled";

/** A failure as the client gets it. */
export interface ToolFailure {
  readonly code: ToolFailureCode;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** The same call may succeed a little later. */
  readonly retryable?: boolean;
}

/** A call is refused, or has failed, by the server's own rules. */
export class ToolError extends Error {
  readonly failure: ToolFailure;

  constructor(code: ToolFailureCode, message: string, hint: string, others: Partial<ToolFailure> = {}) {
    super(message);
    this.failure = { code, message, hint, ...others };
  }
}

const retryable: ReadonlySet<MicrosandboxErrorCode> = new Set([
  "http",
  "metricsUnavailable",
  "missedRotation",
  "operationTimeout",
  "snapshotSandboxRunning",
]);

/** What to tell of an error. @param cancelled whether the client had given the call up */
export function failureOf(error: unknown, cancelled: boolean): ToolFailure {
  if (cancelled) return { code: "cancelled", message: "the call was cancelled" };
  if (error instanceof ToolError) return error.failure;
  if (error instanceof MicrosandboxError) return failureOfOwn(error);
  return { code: "operation_failed", message: error instanceof Error ? error.message : String(error) };
}

function failureOfOwn(error: MicrosandboxError): ToolFailure {
  const { code, message } = error;
  const hint = agentHints[code] ?? error.hint;
  const fields = error instanceof ExecTimeoutError ? { timeoutMs: error.timeoutMs } : error.details;
  return {
    code: codeOf(code),
    message,
    ...(hint === "" ? {} : { hint }),
    details: { error: code, ...fields },
    ...(retryable.has(code) ? { retryable: true } : {}),
  };
}

function codeOf(code: MicrosandboxErrorCode): ToolFailureCode {
  if (code === "execFailed" || code === "execTimeout") return "exec_failed";
  return code === "invalidConfig" || code === "invalidCursor" ? "invalid_input" : "operation_failed";
}
