import { open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { ioError } from "../system-error.ts";

/**
 * Writes a file so that a reader sees the old content or the new one and nothing between: written aside and renamed. With
 * `durable` a machine that loses power keeps that promise too: the file and its directory are fsynced, which takes
 * milliseconds.
 *
 * @throws IoError; nothing is left aside then
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  durable = true,
): Promise<void> {
  // A name that nobody else uses now, and no secret: so without node:crypto, which takes a fifth of Node's start to load.
  const aside = `${path}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(content);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    if (durable) await syncPath(dirname(path));
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw ioError(`write ${path}`, error);
  }
}

/** What was written to a file, or the names that were given in a directory, or taken, are so after a loss of power too (fsync(2)). @throws the system's error */
export async function syncPath(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
