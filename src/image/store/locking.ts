import { unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { DirectoryChanges, tryLockFile } from "../../store/index.ts";

/** No event tells that a process was killed: how long until that is noticed, in milliseconds. */
const recheckMs = 100;

/** The last in the line for each lock within this process. */
const lines = new Map<string, Promise<unknown>>();

/**
 * Runs `action` while holding the lock at `path`. Within this process there is a line; towards other processes the lock is
 * tried whenever something in its directory changes. The kernel's own waiting is not used: it blocks one of libuv's few
 * threads for as long as it lasts, and cannot be given up.
 *
 * @param removeAfter removes the lock's file afterwards
 * @throws the reason of the signal when it was aborted before the lock was held; IoError
 */
export async function withStoreLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
  removeAfter = false,
): Promise<T> {
  const before = lines.get(path) ?? Promise.resolve();
  const turn = Promise.withResolvers<undefined>();
  // Later ones come after everyone who is in the line now, also when this one gives up.
  const after = Promise.all([before, turn.promise]);
  lines.set(path, after);
  try {
    await unlessAborted(before, signal);
    return await holding(path, signal, action, removeAfter);
  } finally {
    turn.resolve(undefined);
    if (lines.get(path) === after) lines.delete(path);
  }
}

async function holding<T>(
  path: string,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
  removeAfter: boolean,
): Promise<T> {
  let lock = await tryLockFile(path);
  if (lock === null) {
    using changes = new DirectoryChanges([dirname(path)], recheckMs);
    const wake = (): void => changes.wake();
    signal?.addEventListener("abort", wake);
    try {
      while ((lock = await tryLockFile(path)) === null) {
        signal?.throwIfAborted();
        await changes.next();
      }
    } finally {
      signal?.removeEventListener("abort", wake);
    }
  }
  try {
    signal?.throwIfAborted();
    return await action();
  } finally {
    // While it is held: whoever waits for this very file finds that it is gone, and makes a new one.
    if (removeAfter) await unlink(path).catch(() => undefined);
    await lock.release();
  }
}

async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (signal === undefined) {
    await promise;
    return;
  }
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort);
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
