import { lstat, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { randomHex } from "../../host/system/entropy.ts";
import { socketPath, type Home } from "../home.ts";
import { removeLeftover, type Discard } from "../leftovers.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { errorCode, ioError } from "../../host/system-error.ts";

// A template's key begins with a hexadecimal digit, so these can never be one.
export const stagingPrefix = ".new-";
const removedPrefix = ".removed-";
const keyLockPattern = /^[0-9a-f]{64}\.lock$/;

/** Which template is meant: with its inode, that very one and not a later one in its place. */
export interface TemplateIdentity {
  readonly key: string;
  readonly inode: bigint;
}

/**
 * Takes a template out of use, unless another one has taken its place. Quick, because a start waits for it: the files are
 * removed by the next one who makes or prunes templates. Always safe: who started from it has its memory mapped.
 *
 * @returns whether it was there
 * @throws IoError
 */
export async function dropTemplate(home: Home, template: TemplateIdentity): Promise<boolean> {
  return (await putAside(home, template)) !== null;
}

/**
 * The same, and removes its files. That may take seconds: a guest's memory is thousands of pieces on the disk.
 *
 * @returns whether it was there
 * @throws IoError
 */
export async function removeTemplate(home: Home, template: TemplateIdentity): Promise<boolean> {
  const aside = await putAside(home, template);
  if (aside === null) return false;
  try {
    await rm(aside, { recursive: true, force: true });
    return true;
  } catch (error) {
    throw ioError(`remove the template ${aside}`, error);
  }
}

/** @returns where it is now; null when it was not there */
async function putAside(home: Home, { key, inode }: TemplateIdentity): Promise<string | null> {
  const path = join(home.templates, key);
  try {
    if ((await inodeAt(path)) !== inode) return null;
    const aside = asidePath(home);
    await rename(path, aside);
    // Someone may have replaced it since the look.
    return (await inodeAt(aside)) !== inode && (await putBack(aside, path)) ? null : aside;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`remove the template ${path}`, error);
  }
}

async function putBack(aside: string, path: string): Promise<boolean> {
  try {
    await rename(aside, path);
    return true;
  } catch {
    return false;
  }
}

/** Moves whatever has a template's place out of it, to where the next sweep removes it. */
export async function clearPlace(home: Home, key: string): Promise<void> {
  try {
    await rename(join(home.templates, key), asidePath(home));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

function asidePath(home: Home): string {
  return join(home.templates, removedPrefix + randomHex(8));
}

async function inodeAt(path: string): Promise<bigint | null> {
  try {
    return (await lstat(path, { bigint: true })).ino;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** Through which the machine of a template in the making is saved: not in its directory, whose path may be too long for one. */
export function stagingSocket(home: Home, directory: string): string {
  return socketPath(home, basename(directory).slice(stagingPrefix.length));
}

/** Removes a template in the making, whose lock the caller holds. Its lock goes last: until then it can be swept. */
export async function removeStaging(
  home: Home,
  directory: string,
  discard: Discard = removeLeftover,
): Promise<void> {
  await rm(stagingSocket(home, directory), { force: true }).catch(() => undefined);
  await discard(directory).catch(() => undefined);
  await unlink(`${directory}.lock`).catch(() => undefined);
}

/** Removes what was put aside, and what processes left that were killed while they made a template or saw to one. */
export async function sweepTemplateLeftovers(home: Home, discard: Discard = removeLeftover): Promise<void> {
  const names = await readdir(home.templates).catch(() => []);
  const stagings = new Set<string>();
  for (const name of names) {
    const path = join(home.templates, name);
    if (name.startsWith(removedPrefix)) await discard(path).catch(() => undefined);
    else if (name.startsWith(stagingPrefix)) stagings.add(name.replace(/\.lock$/, ""));
    else if (keyLockPattern.test(name)) await ifFree(path, () => unlink(path));
  }
  for (const name of stagings) {
    // The lock stands beside the directory, and is taken before that is made: there is no moment without it.
    const directory = join(home.templates, name);
    await ifFree(`${directory}.lock`, () => removeStaging(home, directory, discard));
  }
}

/** Who comes for the lock meanwhile finds it held, and then gone: nobody is left with a lock on a file that is no more. */
async function ifFree(lockPath: string, remove: () => Promise<void>): Promise<void> {
  const lock = await tryLockFile(lockPath).catch(() => null);
  if (lock === null) return;
  await remove().catch(() => undefined);
  await lock.release();
}
