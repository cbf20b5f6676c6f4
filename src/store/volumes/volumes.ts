import { link, lstat, mkdir, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { MicrosandboxError, VolumeAlreadyExistsError, VolumeNotFoundError } from "../../errors/index.ts";
import { removeTree } from "../../host/contained/remove-tree.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { tryLockExisting } from "../../host/locks/range-lock.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { makeBlankDisk } from "../blank-disk.ts";
import type { Home } from "../home.ts";
import {
  nameOfRecord,
  recordsDirectory,
  stagingPath,
  volumePaths,
  type VolumePaths,
} from "./volume-paths.ts";
import { newVolumeRecord, readVolumeRecord, type VolumeRecord } from "./volume-record.ts";

/** A volume as found on disk. */
export interface FoundVolume {
  readonly paths: VolumePaths;
  readonly record: VolumeRecord;
}

/**
 * Makes a volume. It is made aside; that its record appears, which only one can bring about, makes it exist, and then its directory
 * is moved to its place. Who was killed between those two leaves a record and the directory aside: whoever looks next moves it.
 *
 * @throws VolumeAlreadyExistsError, InvalidConfigError for a disk that is too small, IoError; nothing is left then
 */
export async function createVolume(home: Home, config: VolumeConfig): Promise<FoundVolume> {
  const { name, kind, quotaMib, capacityMib, labels } = config;
  const id = randomHex(8);
  const createdAt = new Date().toISOString();
  const record = newVolumeRecord({ id, name, createdAt, kind, quotaMib, capacityMib, labels: { ...labels } });
  const paths = volumePaths(home, name);
  const staging = stagingPath(home, id);
  const aside = join(recordsDirectory(home), `.${id}.tmp`);
  await makeDirectory(recordsDirectory(home));
  try {
    await mkdir(staging, { mode: 0o700 });
    if (capacityMib !== null) await makeBlankDisk(join(staging, "disk.raw"), capacityMib);
    await writeFileAtomically(aside, `${JSON.stringify(record, null, 2)}\n`);
    await publish(home, paths, record, aside);
    return { paths, record };
  } catch (error) {
    await removeTree({ path: Buffer.from(staging) }).catch(() => undefined);
    if (error instanceof MicrosandboxError) throw error;
    throw ioError(`create the volume ${name} in ${home.volumes}`, error);
  } finally {
    await unlink(aside).catch(() => undefined);
  }
}

async function publish(home: Home, paths: VolumePaths, record: VolumeRecord, aside: string): Promise<void> {
  const { name, id } = record;
  // The second time a record was there without its volume, which is cleared away by looking for it.
  for (let tries = 1; ; tries += 1) {
    if ((await findIfThere(home, name)) !== null || tries > 3) throw taken(name);
    if (await isThere(paths.directory)) {
      throw new VolumeAlreadyExistsError(`${paths.directory} exists but is no volume`, {
        hint: "Move it away, or choose another name.",
      });
    }
    try {
      await link(aside, paths.record);
      break;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
  try {
    await moveToPlace(stagingPath(home, id), paths.directory);
  } catch (error) {
    await unlink(paths.record).catch(() => undefined);
    throw error;
  }
}

/** Somebody who looked for the volume at this moment may have done it already. */
async function moveToPlace(staging: string, directory: string): Promise<void> {
  try {
    await rename(staging, directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT" && (await isThere(directory))) return;
    throw error;
  }
}

function taken(name: string): VolumeAlreadyExistsError {
  return new VolumeAlreadyExistsError(`a volume named ${name} exists already`, {
    hint: `Use it as it is, remove it first ("msb volume rm ${name}"), or choose another name.`,
  });
}

/** @throws VolumeNotFoundError, JsonError, UnsupportedOperationError, IoError */
export async function findVolume(home: Home, name: string): Promise<FoundVolume> {
  const found = await findIfThere(home, name);
  if (found === null) throw volumeNotFound(name);
  return found;
}

export function volumeNotFound(name: string): VolumeNotFoundError {
  return new VolumeNotFoundError(`no volume is named ${name}`, {
    hint: `See "msb volume ls" for the ones there are, or make it: "msb volume create ${name}".`,
  });
}

/** @returns null when there is none */
export async function findIfThere(home: Home, name: string): Promise<FoundVolume | null> {
  const paths = volumePaths(home, name);
  const record = await readVolumeRecord(paths.record, name);
  if (record === null) return null;
  if (await isThere(paths.directory)) return { paths, record };
  // Its creator was killed, or is about to do the same.
  try {
    await moveToPlace(stagingPath(home, record.id), paths.directory);
    return { paths, record };
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw ioError(`complete the volume ${name}`, error);
  }
  // Who removed it was killed, or is about to do the same; or somebody has removed the directory by hand.
  const lock = await tryLockExisting(paths.record, "exclusive");
  if (typeof lock === "string") return null;
  try {
    if (await isThere(paths.directory)) return { paths, record };
    await unlink(paths.record).catch(() => undefined);
    return null;
  } finally {
    await lock.release();
  }
}

/** All volumes, by name. What cannot be read is passed over. */
export async function listVolumes(home: Home): Promise<FoundVolume[]> {
  let files: string[];
  try {
    files = await readdir(recordsDirectory(home));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${home.volumes}`, error);
  }
  const names = files.map(nameOfRecord).filter((name) => name !== null);
  const found = await Promise.all(names.sort().map((name) => findIfThere(home, name).catch(() => null)));
  return found.filter((volume) => volume !== null);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at ${path}`, error);
  }
}
