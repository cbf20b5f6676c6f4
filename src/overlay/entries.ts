import { constants, type BigIntStats } from "node:fs";
import { lstat } from "node:fs/promises";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { errorCode } from "../host/system-error.ts";

/** Opens for reading what has a name, which must not be a link, and waits for no pipe. */
export const itself = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A name, of one character for each byte, as the system takes it. */
export function bytesOf(name: string): Buffer {
  return Buffer.from(name, "latin1");
}

/** What a directory has under a name, not followed; null when there is nothing, or no directory. */
export async function entryOf(directory: HeldDirectory | null, name: string): Promise<BigIntStats | null> {
  if (directory === null) return null;
  try {
    return await lstat(directory.at(bytesOf(name)), { bigint: true });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** A directory in a directory; null when there is none, or something else by now, such as a link. */
export async function childOf(directory: HeldDirectory | null, name: string): Promise<HeldDirectory | null> {
  if (directory === null) return null;
  try {
    return await directory.openChild(bytesOf(name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errorCode(error) ?? "")) return null;
    throw error;
  }
}

/** Goes down to the directory of an entry, name by name; does nothing when there is none. */
export async function inDirectoryOf(
  top: HeldDirectory,
  path: string,
  use: (directory: HeldDirectory, name: string) => Promise<void>,
): Promise<void> {
  const names = path.split("/");
  const last = names.pop() ?? "";
  let here = top;
  try {
    for (const name of names) {
      const next = await childOf(here, name);
      if (here !== top) await here.close();
      here = top;
      if (next === null) return;
      here = next;
    }
    await use(here, last);
  } finally {
    if (here !== top) await here.close();
  }
}
