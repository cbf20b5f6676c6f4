import { lstat } from "node:fs/promises";
import type { BindMount, VolumeMount } from "../../config/mounts/volume-mount.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";
import { servingFault } from "../../host/files/serving-fault.ts";

/**
 * Directories of the host are served through names below `/proc/self/fd`, which only Linux has.
 *
 * @throws UnsupportedOperationError before anything is made
 */
export function requireSharable({ guest, kind }: VolumeMount): void {
  if (process.platform === "linux") return;
  throw new UnsupportedOperationError(
    `directories of this host cannot be mounted in a guest (${kind} at ${guest}): that takes Linux`,
    { hint: "Use a disk: a named volume with kind disk, or a disk image." },
  );
}

/**
 * Finds out what is to be mounted. A link is not followed: what it leads to may be changed by whoever owns it.
 *
 * @param path absolute, on the host
 * @returns whether it is a file, and no directory
 * @throws InvalidConfigError when it is neither, not there, not this user's to read, or a part of the system itself
 */
export async function requireServable(path: string, guest: string): Promise<boolean> {
  const refused = (why: string, hint: string, cause?: unknown): InvalidConfigError =>
    new InvalidConfigError(
      `${path}, which is to be mounted at ${guest}, ${why}`,
      cause === undefined ? { hint } : { hint, cause },
    );
  const found = await lstat(path).catch((error: unknown) => {
    throw refused(
      errorCode(error) === "ENOENT" ? "is not there" : "cannot be read",
      "Correct the path.",
      error,
    );
  });
  if (found.isSymbolicLink()) throw refused("is a symbolic link", "Name what it leads to.");
  const isFile = found.isFile();
  if (!isFile && !found.isDirectory())
    throw refused("is neither a directory nor a file", "Mount the directory that it is in.");
  const fault = await servingFault(path, isFile);
  if (fault !== null) throw refused(fault.why, fault.hint, fault.cause);
  return isFile;
}

/** @param isFile whether its source is a file. @throws InvalidConfigError for a layer over one */
export function requireOverlayable({ guest, host, overlay }: BindMount, isFile: boolean): void {
  if (overlay !== true || !isFile) return;
  throw new InvalidConfigError(`${host}, which is to be mounted at ${guest} with overlay(), is a file`, {
    hint: "Mount the directory that it is in, or copy the file into the sandbox.",
  });
}
