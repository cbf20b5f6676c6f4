import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DirectoryChanges } from "../files/directory-changes.ts";
import { tryLockFile, type FileLock } from "./lock.ts";
import { ioError } from "../system-error.ts";

/** No event tells that a process was killed: how long until that is noticed, in milliseconds. */
const recheckMs = 100;

/**
 * Waits for the lock at `path`. It is tried whenever something in its directory changes. The kernel's own waiting is not
 * used: it blocks one of libuv's few threads for as long as it lasts, and cannot be given up.
 *
 * @throws the reason of the signal when it was aborted before the lock was held; IoError
 */
export async function lockFileWhenFree(path: string, signal: AbortSignal | undefined): Promise<FileLock> {
  signal?.throwIfAborted();
  let lock = await tryLockFile(path);
  if (lock === null) {
    using changes = new DirectoryChanges([dirname(path)], recheckMs);
    const wake = (): void => changes.wake();
    signal?.addEventListener("abort", wake);
    try {
      while ((lock = await tryLockFile(path)) === null) {
        signal?.throwIfAborted();
        await requireDirectoryOf(path);
        await changes.next();
      }
    } finally {
      signal?.removeEventListener("abort", wake);
    }
  }
  if (signal?.aborted === true) {
    await lock.release();
    signal.throwIfAborted();
  }
  return lock;
}

/** Without it the lock would never come free. */
async function requireDirectoryOf(path: string): Promise<void> {
  try {
    await stat(dirname(path));
  } catch (error) {
    throw ioError(`lock ${path}`, error);
  }
}
