import { InvalidConfigError } from "../../errors/index.ts";
import type { FileLock } from "../../host/locks/lock.ts";
import { tryLockExisting } from "../../host/locks/range-lock.ts";
import type { Home } from "../home.ts";
import { volumePaths } from "./volume-paths.ts";
import { findVolume, volumeNotFound, type FoundVolume } from "./volumes.ts";

/** A volume that cannot be removed while it is held. */
export interface HeldVolume extends FoundVolume {
  readonly lock: FileLock;
}

/**
 * Keeps a volume from being removed, until the lock is released or this process ends. Any number of sandboxes hold one at once.
 *
 * @throws VolumeNotFoundError, JsonError, IoError; InvalidConfigError when it is being removed at this moment
 */
export async function holdVolume(home: Home, name: string): Promise<HeldVolume> {
  await findVolume(home, name);
  const lock = await tryLockExisting(volumePaths(home, name).record, "shared");
  if (lock === "missing") throw volumeNotFound(name);
  if (lock === "held") {
    throw new InvalidConfigError(`the volume ${name} is being removed`, { hint: "Use another one." });
  }
  try {
    // Again: it may have been another one a moment ago.
    return { ...(await findVolume(home, name)), lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** For whoever wants to remove it: nobody uses it, and nobody begins to. @throws InvalidConfigError, VolumeNotFoundError, IoError */
export async function claimVolume(home: Home, name: string): Promise<FileLock> {
  const lock = await tryLockExisting(volumePaths(home, name).record, "exclusive");
  if (lock === "missing") throw volumeNotFound(name);
  if (lock !== "held") return lock;
  throw new InvalidConfigError(`the volume ${name} is in use by a sandbox that runs`, {
    hint: "Stop the sandbox first.",
  });
}
