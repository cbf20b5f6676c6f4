import { access, open, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { tryLock, waitForLock } from "fs-native-extensions";
import { errorCode, ioError } from "../system-error.ts";

/**
 * An exclusive lock on a file, held by an open file description: the kernel drops it when the last process that has the
 * description ends, however it ends. A child that inherits `fd` shares the lock.
 */
export class FileLock implements AsyncDisposable {
  readonly #file: FileHandle;
  #released = false;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** To hand the lock on to a child process through its stdio. */
  get fd(): number {
    return this.#file.fd;
  }

  /** Drops this process's hold; again does nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Locks the file at `path`, creating it when it is missing.
 *
 * @returns null when someone else holds it, or when the directory of the file is gone
 */
export async function tryLockFile(path: string): Promise<FileLock | null> {
  for (;;) {
    const file = await openLockFile(path);
    if (file === null) return null;
    let kept = false;
    try {
      if (!tryLock(file.fd)) return null;
      kept = await isStillAt(file, path);
      if (kept) return new FileLock(file);
    } finally {
      if (!kept) await file.close();
    }
  }
}

/** Whether nobody holds the lock at `path`. Looking takes it for a moment. */
export async function isUnlocked(path: string): Promise<boolean> {
  const lock = await tryLockFile(path);
  if (lock === null)
    return !(await access(dirname(path)).then(
      () => true,
      () => false,
    ));
  await lock.release();
  return true;
}

/** Runs `action` while holding the lock at `path`, waiting for it as long as it takes. */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  for (;;) {
    const file = await openLockFile(path);
    if (file === null) throw ioError(`lock ${path}`, new Error("its directory does not exist"));
    try {
      await waitForLock(file.fd);
      if (await isStillAt(file, path)) return await action();
    } finally {
      await file.close();
    }
  }
}

async function openLockFile(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "a", 0o600);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`open the lock ${path}`, error);
  }
}

/** A lock won on a file that was renamed or removed meanwhile says nothing about the one at the path now. */
async function isStillAt(file: FileHandle, path: string): Promise<boolean> {
  const held = await file.stat();
  try {
    const now = await stat(path);
    return now.ino === held.ino && now.dev === held.dev;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at the lock ${path}`, error);
  }
}
