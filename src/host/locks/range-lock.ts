import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { tryLock } from "fs-native-extensions";
import { errorCode, ioError } from "../system-error.ts";
import { FileLock } from "./lock.ts";

/** How many may hold a lock at once. */
export type LockMode = "shared" | "exclusive";

/** Bytes of a file, which need not be there. */
export interface LockRange {
  readonly offset: number;
  readonly length: number;
}

/** All of a file. */
const wholeFile: LockRange = { offset: 0, length: 0 };

/**
 * Locks a file that is there, or a range of its bytes. Those who share a lock keep out whoever wants it alone. Like
 * {@link FileLock} it is dropped when its last holder ends. Where the system has no ranges (macOS) all of the file is locked.
 *
 * @returns `missing` when the file is not there, or not there any more; `held` when someone else's lock is in the way
 * @throws IoError
 */
export async function tryLockExisting(
  path: string,
  mode: LockMode,
  { offset, length }: LockRange = wholeFile,
): Promise<FileLock | "missing" | "held"> {
  // A lock that excludes others can be taken only by who may write (fcntl(2)).
  const access = mode === "shared" ? constants.O_RDONLY : constants.O_RDWR;
  let file;
  try {
    file = await open(path, access | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return "missing";
    throw ioError(`lock ${path}`, error);
  }
  let kept = false;
  try {
    if (!tryLock(file.fd, offset, length, { shared: mode === "shared" })) return "held";
    const [held, now] = await Promise.all([file.stat(), stat(path).catch(() => null)]);
    kept = now?.ino === held.ino && now.dev === held.dev;
    return kept ? new FileLock(file) : "missing";
  } finally {
    if (!kept) await file.close();
  }
}
