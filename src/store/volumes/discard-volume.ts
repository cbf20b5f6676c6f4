import { readdir, stat } from "node:fs/promises";
import { ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { removeVolume } from "./volume-removal.ts";
import { volumesInUse } from "./volumes-in-use.ts";
import type { FoundVolume } from "./volumes.ts";

/** A volume as it was when it was made, before anybody could have used it. */
export interface NewVolume {
  readonly volume: FoundVolume;
  /** Of the file of a disk; null for a directory. */
  readonly diskChangedNs: bigint | null;
}

/** To be called with a volume that was made just now. @throws IoError */
export async function newVolume(volume: FoundVolume): Promise<NewVolume> {
  if (volume.record.kind !== "disk") return { volume, diskChangedNs: null };
  return { volume, diskChangedNs: await changedNs(volume.paths.disk) };
}

/**
 * Removes a volume that turned out not to be needed, if it is the same one still, nothing was put in, and no sandbox has it. Whoever may
 * have volumes can have taken it meanwhile: his data stays.
 *
 * @returns whether it was removed
 * @throws VolumeNotFoundError; InvalidConfigError when a sandbox that runs uses it; JsonError, IoError
 */
export async function discardVolume(home: Home, { volume, diskChangedNs }: NewVolume): Promise<boolean> {
  const { id, name } = volume.record;
  return await removeVolume(home, name, async ({ record, paths }) => {
    if (record.id !== id || (await volumesInUse(home)).has(name)) return false;
    const names = await readdir(paths.directory, { encoding: "buffer" });
    if (diskChangedNs === null) return names.length === 0;
    return names.length === 1 && (await changedNs(paths.disk)) === diskChangedNs;
  });
}

async function changedNs(path: string): Promise<bigint> {
  try {
    return (await stat(path, { bigint: true })).mtimeNs;
  } catch (error) {
    throw ioError(`look at ${path}`, error);
  }
}
