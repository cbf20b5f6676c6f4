import type { FileLock } from "../../host/locks/lock.ts";
import { tryLockExisting } from "../../host/locks/range-lock.ts";
import { errorCode } from "../../host/system-error.ts";
import { imageNotPermitted, missingImage, notPermittedCodes, unfitImage } from "./image-faults.ts";

/** Far from the bytes that QEMU locks in what it opens (its block/file-posix.c: from 100 and from 200 on), and from each image's end. */
const ours = { offset: 2 ** 52, length: 1 };

/**
 * Says that a disk image is used, until the lock is released or this process ends: alone by who writes it, by any number who read it.
 * Whatever the home directory is. QEMU's own locks do the same while a machine runs; these tell before there is one.
 *
 * @throws InvalidConfigError when it is in use in a way that excludes this one, or is not there or not this user's; IoError
 */
export async function holdDisk(path: string, readOnly: boolean): Promise<FileLock> {
  let lock: FileLock | "missing" | "held";
  try {
    lock = await tryLockExisting(path, readOnly ? "shared" : "exclusive", ours);
  } catch (error) {
    const { cause } = error as Error;
    if (!notPermittedCodes.has(errorCode(cause) ?? "")) throw error;
    throw imageNotPermitted(path, readOnly, error);
  }
  if (lock === "missing") throw missingImage(path);
  if (lock !== "held") return lock;
  throw unfitImage(
    path,
    "is in use",
    "One sandbox at a time can write it, or several read it: stop the other one, or give this one a copy.",
  );
}
