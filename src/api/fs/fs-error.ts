import { SandboxFsError } from "../../errors/index.ts";
import type { FileFailedMessage, FileProblem } from "../../protocol/generated/messages.ts";
import { errnoNames } from "../control/guest-errno.ts";
import { pathText } from "./guest-path.ts";

const hints: Readonly<Record<string, string>> = {
  ENOENT: "Make the directory first (mkdir), or look what there is (list).",
  EEXIST: "Remove what is there first.",
  EISDIR: "It is a directory: name a file in it, or use list(), removeDir(), or a copy of directories.",
  ENOTDIR: "A part of the path is no directory.",
  ENOTEMPTY: "removeDir() removes a directory with all that is in it.",
  ENOSPC: "The guest's disk is full: remove something, or give the sandbox a larger one.",
  EROFS: "The file system is read-only in the guest.",
  EBUSY: "Something is mounted there.",
  ELOOP: "Links lead in a circle.",
  EXDEV: "Copy it and remove the old one: it lies on another file system.",
};

/** @param path what the caller has named; what the guest says of it is used where it says anything */
export function fsError(failed: FileFailedMessage | FileProblem, path: Uint8Array): SandboxFsError {
  const { operation, errno, message } = failed;
  const shown = pathText(failed.path.length > 0 ? failed.path : path);
  const errnoName = errnoNames[errno] ?? null;
  const number = errno === 0 ? "" : ` (os error ${errno})`;
  return new SandboxFsError(
    `${operation}: ${message}${number}: ${shown}`,
    { operation, path: shown, errno: errno === 0 ? null : errno, errnoName },
    { hint: errnoName === null ? undefined : hints[errnoName] },
  );
}
