import { lstat, mkdir, readdir, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { MicrosandboxError, SnapshotAlreadyExistsError } from "../../errors/index.ts";
import { syncPath } from "../../host/files/atomic-file.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { tryLockFile, type FileLock } from "../../host/locks/lock.ts";
import { requireFromPackage } from "../../host/package-files.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { removeLeftover, type Discard } from "../leftovers.ts";
import { readDescriptor } from "./descriptor.ts";

// A snapshot's name begins with a letter or a digit, so none of these can be one. Each is beside the snapshot.
const stagingSuffix = ".staging";
const lockSuffix = ".lock";
const removedPart = ".removed-";

/** Somebody who holds a lock for longer is making a snapshot, ms. */
const sweepMs = 300;
const sweepTries = 30;

/** The directory where a snapshot is put together; what a killed process left there is cleared away by the next one. */
export function stagingPath(directory: string): string {
  return join(dirname(directory), `.${basename(directory)}${stagingSuffix}`);
}

/** Its file is there, and locked, for as long as a snapshot is put together; it is locked while leftovers are cleared away, too. */
function lockPath(directory: string): string {
  return join(dirname(directory), `.${basename(directory)}${lockSuffix}`);
}

/**
 * Makes a snapshot's directory: filled aside, on the disk, then renamed. Whoever is killed at any point leaves nothing that is taken
 * for a snapshot.
 *
 * @param force whether a snapshot that is there is replaced: it goes in the moment in which the new one comes
 * @param fill puts everything into the directory that it is given
 * @throws SnapshotAlreadyExistsError, also when somebody else makes it at this moment; IoError; what `fill` throws. Nothing is left then
 */
export async function stageSnapshot(
  directory: string,
  force: boolean,
  fill: (staging: string) => Promise<void>,
): Promise<void> {
  await withStaging(directory, async (staging) => {
    await refuseTaken(directory, force);
    await fill(staging);
    await syncTree(staging);
    await publish(staging, directory, force);
  });
}

/**
 * Does some work in the directory where a snapshot is put together: it is made anew, and locked. It is gone afterwards, unless it was
 * renamed, and so it is when somebody has been killed meanwhile and the next one comes.
 *
 * @throws SnapshotAlreadyExistsError when somebody else has it; IoError; what `work` throws
 */
export async function withStaging(
  directory: string,
  work: (staging: string) => Promise<void>,
): Promise<void> {
  const staging = stagingPath(directory);
  await makeDirectory(dirname(directory));
  const lock = await lockUnlessMade(directory);
  if (lock === null) {
    throw new SnapshotAlreadyExistsError(`the snapshot ${directory} is being made at this moment`, {
      hint: "Choose another name.",
    });
  }
  try {
    await removeLeftover(staging);
    await mkdir(staging, { mode: 0o700 });
    await work(staging);
  } catch (error) {
    if (error instanceof MicrosandboxError || errorCode(error) === undefined) throw error;
    throw ioError(`make the snapshot ${directory}`, error);
  } finally {
    await removeLeftover(staging).catch(() => undefined);
    await unlink(lockPath(directory)).catch(() => undefined);
    await lock.release();
  }
}

/** Who clears away what others have left holds the lock for a moment, and makes nothing. @returns null when somebody keeps it */
async function lockUnlessMade(directory: string): Promise<FileLock | null> {
  for (let tries = 1; ; tries += 1) {
    const lock = await tryLockFile(lockPath(directory));
    if (lock !== null || tries === sweepTries) return lock;
    await new Promise((resolve) => setTimeout(resolve, sweepMs / sweepTries));
  }
}

/** A loss of power must not leave a name without its content. */
async function syncTree(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await syncPath(join(directory, name));
  await syncPath(directory);
}

/**
 * To be asked before anything is made, too.
 *
 * @throws SnapshotAlreadyExistsError when something is there; with `force` only when that is no snapshot. JsonError and the like when
 *   nobody can tell
 */
export async function refuseTaken(directory: string, force: boolean): Promise<void> {
  const found = await lstat(directory).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`look at ${directory}`, error);
  });
  if (found === null) return;
  const isSnapshot = found.isDirectory() && (await readDescriptor(directory)) !== null;
  if (isSnapshot && force) return;
  if (!isSnapshot) {
    throw new SnapshotAlreadyExistsError(`${directory} exists but is no snapshot`, {
      hint: "Move it away, or choose another name.",
    });
  }
  throw new SnapshotAlreadyExistsError(`the snapshot ${directory} exists already`, {
    hint: "Remove it first, replace it (force, --force), or choose another name.",
  });
}

async function publish(staging: string, directory: string, force: boolean): Promise<void> {
  await refuseTaken(directory, force);
  try {
    await rename(staging, directory);
  } catch (error) {
    if (!force || (errorCode(error) !== "ENOTEMPTY" && errorCode(error) !== "EEXIST")) throw error;
    exchange(staging, directory);
    // What is aside from here on is the old one.
    await setAside(staging, directory);
  }
  await syncPath(dirname(directory));
}

/** Two directories change places in one step (rename(2), RENAME_EXCHANGE): there is always one of that name. */
function exchange(from: string, to: string): void {
  (requireFromPackage("fs-native-extensions") as { swapSync(from: string, to: string): void }).swapSync(
    from,
    to,
  );
}

/** Takes a snapshot out of everyone's sight, then removes it. @throws the system's error */
export async function setAside(path: string, directory: string): Promise<void> {
  const aside = join(dirname(directory), `.${basename(directory)}${removedPart}${randomHex(8)}`);
  await rename(path, aside);
  await removeLeftover(aside);
}

/** Clears what a process left in a directory of snapshots that was killed while it made or removed one. */
export async function sweepSnapshots(parent: string, discard: Discard = removeLeftover): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(".")) continue;
    const path = join(parent, name);
    if (name.includes(removedPart)) {
      await discard(path).catch(() => undefined);
      continue;
    }
    const suffix = [stagingSuffix, lockSuffix].find((each) => name.endsWith(each));
    if (suffix === undefined) continue;
    await sweepStaging(join(parent, name.slice(1, -suffix.length)), discard);
  }
}

async function sweepStaging(directory: string, discard: Discard): Promise<void> {
  const lock = await tryLockFile(lockPath(directory)).catch(() => null);
  if (lock === null) return;
  try {
    await discard(stagingPath(directory)).catch(() => undefined);
    await unlink(lockPath(directory)).catch(() => undefined);
  } finally {
    await lock.release();
  }
}
