import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { VolumeAlreadyExistsError } from "../../errors/index.ts";
import type { Home } from "../../store/home.ts";
import { removeVolume } from "../../store/volumes/volume-removal.ts";
import { createVolume } from "../../store/volumes/volumes.ts";

/** Volumes that were made for a sandbox. */
export interface MadeVolumes {
  /** Removes those that nobody else has begun to use: the sandbox is not made. */
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
  const made: string[] = [];
  const undo = async (): Promise<void> => {
    for (const name of made.splice(0)) await removeVolume(home, name).catch(() => undefined);
  };
  try {
    for (const config of missing) {
      try {
        await createVolume(home, config);
        made.push(config.name);
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
