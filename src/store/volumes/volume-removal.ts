import { readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { InvalidConfigError, VolumeNotFoundError } from "../../errors/index.ts";
import { removeTree } from "../../host/contained/remove-tree.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import type { Discard } from "../leftovers.ts";
import { removedPrefix, stagingPrefix, volumePaths } from "./volume-paths.ts";
import { volumeUsage } from "./volume-usage.ts";
import { claimVolume } from "./volume-use.ts";
import { volumesInUse } from "./volumes-in-use.ts";
import { findVolume, listVolumes, type FoundVolume } from "./volumes.ts";

/** How long what is put together aside may take before it is taken for left behind, ms. */
const stagingMs = 60_000;

/**
 * Removes a volume with its data.
 *
 * @param mayGo asked once nobody can begin to use it any more: it stays unless this is true
 * @returns whether it was removed
 * @throws VolumeNotFoundError; InvalidConfigError when a sandbox that runs uses it; JsonError, IoError; what `mayGo` throws
 */
export async function removeVolume(
  home: Home,
  name: string,
  mayGo: (volume: FoundVolume) => Promise<boolean> = () => Promise.resolve(true),
): Promise<boolean> {
  await findVolume(home, name);
  const lock = await claimVolume(home, name);
  const { directory, record } = volumePaths(home, name);
  const aside = join(home.volumes, removedPrefix + randomHex(8));
  try {
    // Again: it may have been another one a moment ago.
    if (!(await mayGo(await findVolume(home, name)))) return false;
    await rename(directory, aside);
    await unlink(record);
  } catch (error) {
    throw ioError(`remove the volume ${name}`, error);
  } finally {
    await lock.release();
  }
  await removeTree({ path: Buffer.from(aside) }).catch((error: unknown) => {
    throw ioError(`remove ${aside}`, error);
  });
  await sweepVolumes(home);
  return true;
}

/** What {@link pruneVolumes} has done. */
export interface VolumePruning {
  readonly volumesRemoved: readonly string[];
  readonly bytesReclaimed: number;
}

/**
 * Removes every volume that no sandbox has, running or not.
 *
 * @param signal given up between two of them
 * @throws IoError, also when it cannot be told which volumes some sandbox has: the volumes that are left stay then
 */
export async function pruneVolumes(home: Home, signal: AbortSignal): Promise<VolumePruning> {
  await sweepVolumes(home);
  const used = await volumesInUse(home);
  const volumesRemoved: string[] = [];
  let bytesReclaimed = 0;
  for (const volume of await listVolumes(home)) {
    signal.throwIfAborted();
    const { name } = volume.record;
    if (used.has(name)) continue;
    const bytes = await volumeUsage(volume);
    // A sandbox that has it may have been made since.
    const mayGo = async (): Promise<boolean> => !(await volumesInUse(home)).has(name);
    try {
      if (!(await removeVolume(home, name, mayGo))) continue;
    } catch (error) {
      // Another one has begun to use it, or has removed it.
      if (error instanceof InvalidConfigError || error instanceof VolumeNotFoundError) continue;
      throw error;
    }
    volumesRemoved.push(name);
    bytesReclaimed += bytes;
  }
  return { volumesRemoved, bytesReclaimed };
}

/** A guest has made what is in a volume: as deep as it likes, with names of any bytes. What cannot be removed is left to the next one. */
export const removeVolumeLeftover: Discard = async (path) => {
  await removeTree({ path: Buffer.from(path) }).catch((error: unknown) => {
    if (errorCode(error) === undefined) throw error;
  });
};

/** Clears what a process left that was killed while it made or removed a volume. @throws IoError */
export async function sweepVolumes(home: Home, discard: Discard = removeVolumeLeftover): Promise<void> {
  const names = await readdir(home.volumes).catch(() => []);
  if (!names.some((name) => name.startsWith(stagingPrefix) || name.startsWith(removedPrefix))) return;
  // Completes those whose record is there.
  await listVolumes(home);
  for (const name of names) {
    const path = join(home.volumes, name);
    const isOld = async (): Promise<boolean> => {
      const made = await stat(path).catch(() => null);
      return made !== null && Date.now() - made.mtimeMs > stagingMs;
    };
    if (name.startsWith(removedPrefix) || (name.startsWith(stagingPrefix) && (await isOld())))
      await discard(path);
  }
}
