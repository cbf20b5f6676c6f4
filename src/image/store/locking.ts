import { unlink } from "node:fs/promises";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { lockFileWhenFree } from "../../host/locks/lock-when-free.ts";

/** The last in the line for each lock within this process. */
const lines = new Map<string, Promise<unknown>>();

/**
 * Runs `action` while holding the lock at `path`. Within this process there is a line, towards other processes there is
 * none: see `lockFileWhenFree`.
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
    await (signal === undefined ? before : unlessAborted(before, signal));
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
  const lock = await lockFileWhenFree(path, signal);
  try {
    return await action();
  } finally {
    // While it is held: whoever waits for this very file finds that it is gone, and makes a new one.
    if (removeAfter) await unlink(path).catch(() => undefined);
    await lock.release();
  }
}
