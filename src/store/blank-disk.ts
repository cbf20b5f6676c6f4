import { rename, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { InvalidConfigError } from "../errors/index.ts";
import { extentsVirtualSize, unpackExtents } from "../host/files/extents.ts";
import { guestDirectory } from "../host/package-files.ts";
import { errorCode, ioError } from "../host/system-error.ts";

const bytesPerMib = 1024 * 1024;
/** Blank disks to start from, the largest first. The guest grows what is on them to the size of the file. */
const blanks = ["upper.extents", "upper-small.extents"] as const;

/**
 * Makes a sparse disk with a blank ext4 file system on it, complete from the moment it is at its path.
 *
 * @param sizeMib at least 16
 * @throws InvalidConfigError when the size is too small; IoError
 */
export async function makeBlankDisk(path: string, sizeMib: number): Promise<void> {
  const bytes = sizeMib * bytesPerMib;
  await unpackAside(await chooseBlank(bytes), path, (made) => enlargeDisk(made, bytes));
}

/** Unpacks a disk aside first: one that was cut short by a kill must not be taken for a whole one. @throws IoError */
export async function unpackAside(
  packed: string,
  path: string,
  finish: (made: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const aside = `${path}.new`;
  await rm(aside, { force: true });
  await unpackExtents(packed, aside);
  await finish(aside);
  await rename(aside, path);
}

async function chooseBlank(bytes: number): Promise<string> {
  let smallestMib = 0;
  for (const name of blanks) {
    const blank = join(guestDirectory(), name);
    const size = await extentsVirtualSize(blank);
    if (size <= bytes) return blank;
    smallestMib = size / bytesPerMib;
  }
  throw new InvalidConfigError(`a disk of ${bytes / bytesPerMib} MiB is too small`, {
    hint: `The smallest has ${smallestMib} MiB.`,
  });
}

/** @returns bytes; null when there is none. @throws IoError */
export async function diskSizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read ${path}`, error);
  }
}

/** Makes a disk's file larger; its file system follows when a guest mounts it. @throws IoError */
export async function enlargeDisk(path: string, bytes: number): Promise<void> {
  try {
    await truncate(path, bytes);
  } catch (error) {
    throw ioError(`enlarge ${path}`, error);
  }
}
