import { randomBytes } from "node:crypto";
import { lstat, readdir, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "./home.ts";
import { tryLockFile } from "./lock.ts";
import { errorCode, ioError } from "./system-error.ts";
import { isTemplateKey } from "./template-record.ts";

// A template's key begins with a hexadecimal digit, so these can never be one.
export const stagingPrefix = ".new-";
const removedPrefix = ".removed-";

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
  return join(home.templates, removedPrefix + randomBytes(8).toString("hex"));
}

async function inodeAt(path: string): Promise<bigint | null> {
  try {
    return (await lstat(path, { bigint: true })).ino;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** Removes what was put aside, and what processes left that were killed while they made a template. */
export async function sweepTemplateLeftovers(home: Home): Promise<void> {
  const names = await readdir(home.templates).catch(() => []);
  const stagings = new Set<string>();
  for (const name of names) {
    if (name.startsWith(removedPrefix)) {
      await rm(join(home.templates, name), { recursive: true, force: true }).catch(() => undefined);
    } else if (name.startsWith(stagingPrefix)) stagings.add(name.replace(/\.lock$/, ""));
  }
  for (const name of stagings) {
    // The lock stands beside the directory, and is taken before that is made: there is no moment without it.
    const lockPath = join(home.templates, `${name}.lock`);
    const lock = await tryLockFile(lockPath).catch(() => null);
    if (lock === null) continue;
    await rm(join(home.templates, name), { recursive: true, force: true }).catch(() => undefined);
    await unlink(lockPath).catch(() => undefined);
    await lock.release();
  }
  await removeFreeLocks(home, names);
}

/** The locks of makers that were killed. */
async function removeFreeLocks(home: Home, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!name.endsWith(".lock") || !isTemplateKey(name.slice(0, -".lock".length))) continue;
    const path = join(home.templates, name);
    const lock = await tryLockFile(path).catch(() => null);
    if (lock === null) continue;
    await unlink(path).catch(() => undefined);
    await lock.release();
  }
}
