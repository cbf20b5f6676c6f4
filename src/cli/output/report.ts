import {
  BootStartError,
  ExecFailedError,
  InvalidConfigError,
  MicrosandboxError,
  type ExecFailureKind,
} from "../../errors/index.ts";
import { UsageError } from "./usage-error.ts";
import { errorBlock, type ErrorBlock } from "./blocks.ts";
import { styled, type OutputStream, type Styled } from "./style.ts";

/** Console lines shown with a failed start; `msb logs --source system` has all of them. */
const CONSOLE_LINES = 12;

const failureLabels: Readonly<Record<ExecFailureKind, string>> = {
  not_found: "not found",
  permission_denied: "permission denied",
  not_executable: "not executable",
  bad_cwd: "bad cwd",
  bad_args: "bad args",
  resource_limit: "resource limit",
  user_setup_failed: "user setup",
  out_of_memory: "out of memory",
  pty_setup_failed: "pty setup",
  other: "exec",
};

/** What the reporter knows beyond the error itself. */
export interface ReportContext {
  /** The program that was to be run in the guest. */
  readonly program?: string;
  /** Show where the error comes from, and what had been done until then. */
  readonly stack?: boolean;
  /** The sandbox that failed to start is already gone, with its logs. */
  readonly removed?: boolean;
}

/** The error block for anything that was thrown. */
export function report(error: unknown, stream: OutputStream, context: ReportContext = {}): Styled {
  const block = errorBlock(describe(error, context), stream);
  if (context.stack !== true || !(error instanceof Error)) return block;
  const log = isOwn(error) ? error.log.map((line) => `  ${line}\n`).join("") : "";
  return styled`${block}${log === "" ? "" : `what was done:\n${log}`}${error.stack ?? ""}\n`;
}

/**
 * The exit code for an error. As shells and docker have it for a command that could not be started: 127 when it was not found, 126
 * for whatever else is wrong with it, its user or its directory. 2 for a wrong command line.
 *
 * @param other for everything else
 */
export function exitCodeOf(error: unknown, other = 1): number {
  if (error instanceof UsageError) return 2;
  if (!(error instanceof ExecFailedError)) return other;
  return error.kind === "not_found" ? 127 : 126;
}

/** The exit code for an error of a command in a sandbox that is there: also what never went to the guest cannot be executed. */
export function exitCodeOfCommand(error: unknown, other = 1): number {
  return exitCodeOf(error, error instanceof InvalidConfigError ? 126 : other);
}

function describe(error: unknown, context: ReportContext): ErrorBlock {
  if (error instanceof BootStartError) return describeBootFailure(error, context);
  if (error instanceof ExecFailedError) {
    const errno = error.errnoName === null ? "" : ` (${error.errnoName})`;
    return {
      text: `failed to exec "${context.program ?? "command"}"`,
      causes: [`${failureLabels[error.kind]}: ${error.message}${error.message.endsWith(errno) ? "" : errno}`],
      hints: [error.hint],
    };
  }
  if (error instanceof UsageError) return { text: error.message, hints: [error.hint] };
  if (isOwn(error)) {
    return { text: error.message, causes: causesOf(error), hints: [error.hint] };
  }
  if (error instanceof Error) return { text: error.message, causes: causesOf(error) };
  return { text: String(error) };
}

function describeBootFailure(error: BootStartError, context: ReportContext): ErrorBlock {
  const qemu = lastLines(error.qemuOutput, CONSOLE_LINES);
  const console = lastLines(error.consoleTail, CONSOLE_LINES);
  const pointer = `msb logs --source system ${error.sandboxName}`;
  const logs = context.removed === true || error.hint.includes(pointer) ? "" : pointer;
  return {
    text: `failed to start "${error.sandboxName}"`,
    causes: [`${error.stage}: ${error.message}`, ...(qemu.length > 0 ? [`QEMU: ${qemu.join(" ")}`] : [])],
    excerpt: { title: "the guest's last words", lines: console },
    hints: [error.hint, logs],
  };
}

/** Also an error of a command that is in a bundle of its own, which has classes of its own (`scripts/bundle.ts`). */
function isOwn(error: unknown): error is MicrosandboxError {
  if (error instanceof MicrosandboxError) return true;
  return (
    error instanceof Error &&
    "hint" in error &&
    typeof error.hint === "string" &&
    Array.isArray(Reflect.get(error, "log"))
  );
}

/** The messages behind an error that say more than it says itself. */
function causesOf(error: Error): string[] {
  const causes: string[] = [];
  let reported = error.message;
  for (let cause = error.cause; cause instanceof Error && causes.length < 3; cause = cause.cause) {
    if (cause.message === "" || reported.includes(cause.message)) continue;
    causes.push(cause.message);
    reported = `${reported}\n${cause.message}`;
  }
  return causes;
}

function lastLines(text: string, count: number): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-count);
}
