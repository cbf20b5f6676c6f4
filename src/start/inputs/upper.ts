import { rename, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { extentsVirtualSize, unpackExtents } from "../../host/files/extents.ts";
import { guestDirectory } from "../../host/package-files.ts";
import type { Template } from "../../store/templates/templates.ts";
import type { PreparedRoot } from "../contract/handover.ts";

const bytesPerMib = 1024 * 1024;
/** Blank disks to start from, the largest first. The guest grows what is on them to the size of the file. */
const blanks = ["upper.extents", "upper-small.extents"] as const;

/**
 * Makes the disk that a sandbox writes to, unless it is there: it is kept from one run to the next. One that is smaller than
 * wanted becomes larger, one that is larger stays as it is.
 *
 * @param sizeMib at least 16
 * @throws InvalidConfigError when the size is too small; IoError
 */
export async function prepareUpper(path: string, sizeMib: number): Promise<void> {
  const bytes = sizeMib * bytesPerMib;
  const existing = await sizeOf(path);
  if (existing === null) {
    await unpackAside(await chooseBlank(bytes), path, (made) => enlarge(made, bytes));
  } else if (existing < bytes) await enlarge(path, bytes);
}

/**
 * Makes a sandbox's upper disk the one that its image template was saved with.
 *
 * @throws IoError
 */
export async function copyTemplateUpper(root: PreparedRoot, { paths }: Template): Promise<void> {
  const upperPath = root.template?.upperPath ?? null;
  if (upperPath !== null) await unpackAside(paths.upper, upperPath);
}

/** Aside first: a disk that was cut short by a kill must not be taken for the sandbox's own. */
async function unpackAside(
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
  throw new InvalidConfigError(`a root disk of ${bytes / bytesPerMib} MiB is too small`, {
    hint: `The smallest has ${smallestMib} MiB.`,
  });
}

/** @returns null when there is none. @throws IoError */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read ${path}`, error);
  }
}

async function enlarge(path: string, bytes: number): Promise<void> {
  try {
    await truncate(path, bytes);
  } catch (error) {
    throw ioError(`enlarge ${path}`, error);
  }
}
