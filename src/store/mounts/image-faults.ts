/** What can be wrong with a disk image that a user brings, in the same words wherever it is found out. */
import { InvalidConfigError } from "../../errors/index.ts";

/** Of what says that this user may not do it. */
export const notPermittedCodes: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS"]);

export function missingImage(path: string, cause?: unknown): InvalidConfigError {
  return fault(`there is no disk image ${path}`, "Name one that exists.", cause);
}

export function noImageFile(path: string): InvalidConfigError {
  return unfitImage(path, "is no regular file", "Name a disk image.");
}

/** @param readOnly it was only to be read */
export function imageNotPermitted(path: string, readOnly: boolean, cause?: unknown): InvalidConfigError {
  const [why, but] = readOnly
    ? ["read", ""]
    : ["read and written", "A sandbox writes to it, unless it is mounted readonly. "];
  const hint = `${but}Change the file's permissions, or name a copy of it.`;
  return unfitImage(path, `cannot be ${why} by this user`, hint, cause);
}

export function unfitImage(path: string, why: string, hint: string, cause?: unknown): InvalidConfigError {
  return fault(`the disk image ${path} ${why}`, hint, cause);
}

function fault(message: string, hint: string, cause: unknown): InvalidConfigError {
  return new InvalidConfigError(message, { hint, ...(cause === undefined ? {} : { cause }) });
}
