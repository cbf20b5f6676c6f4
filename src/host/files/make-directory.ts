import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, ioError } from "../system-error.ts";

/**
 * Creates a directory and those above it, readable by this user only, where they are missing. Like mkdir's `recursive`, which
 * reports a read-only disk as ENOENT: here the system's own reason is told.
 *
 * @throws IoError
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await makeWithParents(path);
  } catch (error) {
    throw ioError(`create the directory ${path}`, error);
  }
}

async function makeWithParents(path: string): Promise<void> {
  try {
    await mkdirUnlessThere(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    await makeWithParents(dirname(path));
    await mkdirUnlessThere(path);
  }
}

async function mkdirUnlessThere(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const found = await stat(path).catch(() => null);
    if (found?.isDirectory() !== true) throw error;
  }
}
