import { ExecFailedError, type ExecFailureKind } from "../../errors/index.ts";
import { errnoNames } from "../control/guest-errno.ts";
import type { ExecFailedMessage } from "../../protocol/generated/messages.ts";

const kindsByErrno: Readonly<Record<string, ExecFailureKind>> = {
  ENOENT: "not_found",
  ENOTDIR: "bad_cwd",
  EACCES: "permission_denied",
  EPERM: "permission_denied",
  ENOEXEC: "not_executable",
  EISDIR: "not_executable",
  ETXTBSY: "not_executable",
  E2BIG: "bad_args",
  ELOOP: "bad_args",
  ENAMETOOLONG: "bad_args",
  EFAULT: "bad_args",
  EMFILE: "resource_limit",
  ENFILE: "resource_limit",
  EAGAIN: "resource_limit",
  ENOMEM: "out_of_memory",
};

const kindsByStage: Readonly<Record<string, ExecFailureKind>> = {
  user: "user_setup_failed",
  groups: "user_setup_failed",
  pty: "pty_setup_failed",
  cwd: "bad_cwd",
};

const hints: Readonly<Partial<Record<ExecFailureKind, string>>> = {
  not_found: "Check the spelling and the PATH, or install the program in the image.",
  permission_denied: "Make the file executable for the user the command runs as, or run it as another user.",
  not_executable: "Run a script without a #! line through its interpreter: sh, [script].",
  bad_cwd: "Choose a working directory that exists in the guest and that the user may enter.",
  bad_args: "Pass fewer or shorter arguments and environment variables, for example through a file or stdin.",
  resource_limit: "Raise the limit, or run fewer commands at once.",
  user_setup_failed: "Choose a user and a group of the guest's /etc/passwd and /etc/group, or numbers.",
  out_of_memory: "Give the sandbox more memory.",
  pty_setup_failed: "End commands that hold a terminal, or run this one without a terminal.",
};

/** Where the step tells more than the kind. */
const hintsByStage: Readonly<Record<string, string>> = {
  rlimit: "Choose a limit that the guest's kernel allows; for nofile that is /proc/sys/fs/nr_open.",
  interpreter: "Write the script with line ends of Unix (LF), and install its interpreter in the image.",
};

/**
 * @param program the command's first word
 * @param cwd the directory that was asked for; "" when none was
 */
export function execFailedError(failure: ExecFailedMessage, program: string, cwd: string): ExecFailedError {
  const errno = failure.errno === 0 ? null : failure.errno;
  // A program may be missing just as its directory may: which of the two it was, the system's words do not tell.
  const where = failure.stage === "cwd" && cwd !== "" ? `in ${cwd}: ` : "";
  return makeError(program, errno, failure.stage, `${where}${failure.message}`);
}

/** A command that is too large to be sent, let alone to be run. */
export function argumentsTooLong(program: string): ExecFailedError {
  return makeError(program, 7, "request", "argument list too long");
}

function makeError(program: string, errno: number | null, stage: string, message: string): ExecFailedError {
  const errnoName = errno === null ? null : (errnoNames[errno] ?? `E${errno}`);
  const kind = kindsByStage[stage] ?? (errnoName === null ? undefined : kindsByErrno[errnoName]) ?? "other";
  return new ExecFailedError(
    `cannot run ${JSON.stringify(program)}: ${message}`,
    { kind, errno, errnoName, stage },
    { hint: hintsByStage[stage] ?? hints[kind] },
  );
}
