import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";
import { IoError, MicrosandboxError } from "../errors/index.ts";

/** What Node, which has its names from libuv, says of errors that have none there, such as EDQUOT and ESTALE: their number is left. */
const unnamed = /^(?:UNKNOWN|Unknown system error -\d+)(?:: (?:unknown error|Unknown system error -\d+))?/u;

/** The `code` of a Node system error (`ENOENT`…), or undefined for anything else, an error of ours too: its code is another's. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof MicrosandboxError) return undefined;
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return undefined;
  return unnamed.test(error.code) ? (nameOf(error) ?? error.code) : error.code;
}

/** What Node has no name for, by the system's. */
function nameOf(error: object): string | undefined {
  const number: unknown = "errno" in error ? error.errno : undefined;
  return Object.entries(constants.errno).find(([, known]) => -known === number)?.[0];
}

/** What a system error says, with the name of what Node has none for. */
export function systemMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = errorCode(error);
  return code === undefined ? error.message : error.message.replace(unnamed, code);
}

/**
 * What the system has said, without the path of the call: where a directory is held that is a descriptor's, which says nothing to
 * anybody.
 */
export function systemReason(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return errorCode(error) === undefined ? reason : reason.replace(/, \w+(?: '.*)?$/s, "");
}

/** EUCLEAN of Linux ("Structure needs cleaning"), which Node has no name for. */
const needsCleaning = 117;
const mediumErrors: readonly number[] = [constants.errno.EIO, constants.errno.EBADMSG, needsCleaning];

/** Whether the disk, or the file system on it, cannot give back what it was given: damage, unlike a limit or a permission. */
export function isMediumError(error: unknown): boolean {
  if (errorCode(error) === undefined) return false;
  return (
    error instanceof Error &&
    "errno" in error &&
    typeof error.errno === "number" &&
    mediumErrors.includes(-error.errno)
  );
}

/** Where the system failed: in the directory where this package keeps its own, or at a file that a user named. */
export type FailedPlace = "home" | "userFile";
type Hints = Readonly<Partial<Record<FailedPlace, string>>>;

const fileInTheWay: Hints = {
  home: "A file stands where a directory is needed: move it away, or set MSB_HOME to another directory.",
  userFile: "A part of the path is a file: name another one.",
};
const notAllowed: Hints = {
  home: "Make the directory writable for this user, or set MSB_HOME to one that is.",
  userFile: "Name a file that this user may write.",
};
const everywhere = (hint: string): Hints => ({ home: hint, userFile: hint });

const hints: Readonly<Record<string, Hints>> = {
  ENOSPC: {
    home: "The disk is full: free some space, or set MSB_HOME to a directory on another disk.",
    userFile: "The disk is full: free some space, or write to another one.",
  },
  EDQUOT: {
    home: "The disk quota is used up: free some space, or set MSB_HOME to a directory on another disk.",
    userFile: "The disk quota is used up: free some space, or write to another disk.",
  },
  EACCES: notAllowed,
  EPERM: notAllowed,
  EROFS: {
    home: "The file system is read-only: set MSB_HOME to a directory on a writable one.",
    userFile: "The file system is read-only: write to another one.",
  },
  ENOTDIR: fileInTheWay,
  EEXIST: fileInTheWay,
  ENOENT: { userFile: "Create the directory first." },
  EPIPE: { userFile: "Whoever reads the pipe has closed it." },
  EMFILE: everywhere("This process has too many files open: raise the limit (ulimit -n)."),
  ENFILE: everywhere("The system has too many files open: raise fs.file-max."),
};

/** What a full disk is told as where something else than a system call of ours has met it. */
export function noSpaceLeft(action: string): MicrosandboxError {
  const reason = `ENOSPC: ${getSystemErrorMessage(-constants.errno.ENOSPC)}`;
  return ioError(action, Object.assign(new Error(reason), { code: "ENOSPC" }));
}

/** What to do about a system error of the host's file system; undefined for all but the usual ones. */
export function systemHint(error: unknown, place: FailedPlace = "home"): string | undefined {
  const code = errorCode(error);
  return code !== undefined && Object.hasOwn(hints, code) ? hints[code]?.[place] : undefined;
}

/**
 * Wraps a system error of the host's file system: says what was tried and, for the usual causes, what to do.
 *
 * An error of ours comes back as it is. Whoever met the system's error has said what he tried, which is nearer to the cause; another
 * layer around it would have another code, and no hint.
 */
export function ioError(action: string, error: unknown, place: FailedPlace = "home"): MicrosandboxError {
  if (error instanceof MicrosandboxError) return error;
  return new IoError(`cannot ${action}: ${systemMessage(error)}`, {
    cause: error,
    hint: systemHint(error, place),
  });
}
