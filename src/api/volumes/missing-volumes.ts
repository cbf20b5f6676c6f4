import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { VolumeAlreadyExistsError } from "../../errors/index.ts";
import type { Home } from "../../store/home.ts";
import { discardVolume, newVolume, type NewVolume } from "../../store/volumes/discard-volume.ts";
import { createVolume } from "../../store/volumes/volumes.ts";

/** Volumes that were made for a sandbox. */
export interface MadeVolumes {
  /** Removes those that nobody else has begun to use, or has put anything in: the sandbox is not made, and is gone itself. */
  undo(): Promise<void>;
}

/**
 * Makes the volumes of a sandbox that are not there yet.
 *
 * @param mayBeThere the names of those that somebody else may have made meanwhile
 * @throws VolumeAlreadyExistsError, IoError; none of them is left then
 */
export async function makeMissing(
  home: Home,
  missing: readonly VolumeConfig[],
  mayBeThere: (name: string) => boolean,
): Promise<MadeVolumes> {
  const made: NewVolume[] = [];
  const undo = async (): Promise<void> => {
    for (const volume of made.splice(0)) await discardVolume(home, volume).catch(() => undefined);
  };
  try {
    for (const config of missing) {
      try {
        made.push(await newVolume(await createVolume(home, config)));
      } catch (error) {
        if (!(error instanceof VolumeAlreadyExistsError) || !mayBeThere(config.name)) throw error;
      }
    }
    return { undo };
  } catch (error) {
    await undo();
    throw error;
  }
}
