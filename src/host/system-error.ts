import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";
import { IoError } from "../errors/index.ts";

/** The `code` of a Node system error (`ENOENT`…), or undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

const fileInTheWay =
  "A file stands where a directory is needed: move it away, or set MSB_HOME to another directory.";

const hints: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full: free some space, or set MSB_HOME to a directory on another disk.",
  EDQUOT: "The disk quota is used up: free some space, or set MSB_HOME to a directory on another disk.",
  EACCES: "Make the directory writable for this user, or set MSB_HOME to one that is.",
  EPERM: "Make the directory writable for this user, or set MSB_HOME to one that is.",
  EROFS: "The file system is read-only: set MSB_HOME to a directory on a writable one.",
  ENOTDIR: fileInTheWay,
  EEXIST: fileInTheWay,
  EMFILE: "This process has too many files open: raise the limit (ulimit -n).",
  ENFILE: "The system has too many files open: raise fs.file-max.",
};

/** What a full disk is told as where something else than a system call of ours has met it. */
export function noSpaceLeft(action: string): IoError {
  const reason = `ENOSPC: ${getSystemErrorMessage(-constants.errno.ENOSPC)}`;
  return ioError(action, Object.assign(new Error(reason), { code: "ENOSPC" }));
}

/** Wraps a system error of the host's file system: says what was tried and, for the usual causes, what to do. */
export function ioError(action: string, error: unknown): IoError {
  const code = errorCode(error);
  const reason = error instanceof Error ? error.message : String(error);
  return new IoError(`cannot ${action}: ${reason}`, {
    cause: error,
    hint: code === undefined ? undefined : hints[code],
  });
}
