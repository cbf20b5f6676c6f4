import { chmod, readdir, rename, rmdir, stat, unlink } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import { randomHex } from "../system/entropy.ts";
import { statusOf, type Place } from "./contained-directory.ts";
import { HeldDirectory } from "./held-directory.ts";

/**
 * Removes a directory and all that is in it. What is deeper is brought up first, so that neither the length of paths nor the number
 * of open directories grows with the depth: who has made the tree may have made it deeper than any path is long. No link is followed.
 *
 * @param signal given up between two names: the rest stays
 * @throws what the system reports: ENOTDIR when it is no directory
 */
export async function removeTree({ path }: Pick<Place, "path">, signal?: AbortSignal): Promise<void> {
  {
    await using top = await openWritable(path);
    const prefix = `.msb-removing-${randomHex(4)}-`;
    let brought = 0;
    const bringUp = async (at: Buffer): Promise<void> => {
      // Its entry `..` changes, for which it must be writable itself (rename(2), EACCES).
      await (await openWritable(at)).close();
      await rename(at, top.at(`${prefix}${brought++}`));
    };
    for (let names = await namesIn(top); names.length > 0; names = await namesIn(top)) {
      for (const name of names) {
        signal?.throwIfAborted();
        await removeShallow(top.at(name), bringUp);
      }
    }
  }
  await rmdir(path);
}

/** Removes what has this path. The directories in a directory are brought up instead. */
async function removeShallow(path: Buffer, bringUp: (at: Buffer) => Promise<void>): Promise<void> {
  const status = await statusOf(path);
  if (status === null) return;
  if (!status.isDirectory()) {
    await unlink(path).catch(unlessGone);
    return;
  }
  {
    await using directory = await openWritable(path);
    for (const name of await namesIn(directory)) {
      const inner = directory.at(name);
      const found = await statusOf(inner);
      if (found?.isDirectory() === true) await bringUp(inner).catch(unlessGone);
      else if (found !== null) await unlink(inner).catch(unlessGone);
    }
  }
  // Whoever writes to it at this moment makes one more round.
  await rmdir(path).catch((error: unknown) => {
    if (errorCode(error) !== "ENOTEMPTY") unlessGone(error);
  });
}

/** Its own mode must not keep its owner from emptying it. */
async function openWritable(path: Buffer): Promise<HeldDirectory> {
  const directory = await HeldDirectory.openItself(path);
  try {
    const { mode } = await stat(directory.itself);
    if ((mode & 0o700) !== 0o700) await chmod(directory.itself, (mode & 0o7777) | 0o700);
  } catch {
    // It is another's, or has gone: what is to be done with it tells.
  }
  return directory;
}

async function namesIn(directory: HeldDirectory): Promise<Buffer[]> {
  return await readdir(directory.at(), { encoding: "buffer" });
}

function unlessGone(error: unknown): void {
  if (errorCode(error) !== "ENOENT") throw error;
}
