import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { FileLock } from "../../host/locks/lock.ts";
import type { Home } from "../home.ts";
import { holdVolume } from "../volumes/volume-use.ts";
import { holdDisk } from "./disk-use.ts";

/** What a sandbox uses that others might remove or write. */
export class HeldMounts implements AsyncDisposable {
  readonly #locks: FileLock[] = [];

  /** @internal */
  keep(lock: FileLock): void {
    this.#locks.push(lock);
  }

  /** Again does nothing. */
  async release(): Promise<void> {
    await Promise.all(this.#locks.splice(0).map((lock) => lock.release()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Holds the named volumes and the disk images that a sandbox has, its root too if that is one: they are not removed, and nobody writes a
 * disk that somebody else uses.
 *
 * @throws VolumeNotFoundError; InvalidConfigError for a disk that is in use, or not there; JsonError, IoError. Nothing is held then
 */
export async function holdMounts(
  home: Home,
  { image, mounts }: Pick<StoredConfig, "image" | "mounts">,
): Promise<HeldMounts> {
  const held = new HeldMounts();
  try {
    if (image.kind === "disk") held.keep(await holdDisk(image.path, false));
    for (const mount of mounts) {
      if (mount.kind === "disk") held.keep(await holdDisk(mount.host, mount.readonly));
      if (mount.kind !== "named") continue;
      const { lock, record, paths } = await holdVolume(home, mount.name);
      held.keep(lock);
      if (record.kind === "disk") held.keep(await holdDisk(paths.disk, mount.readonly));
    }
    return held;
  } catch (error) {
    await held.release();
    throw error;
  }
}

/** Whether a sandbox could hold what it has, told before anything is started. @throws as {@link holdMounts} */
export async function requireFreeMounts(
  home: Home,
  config: Pick<StoredConfig, "image" | "mounts">,
): Promise<void> {
  await (await holdMounts(home, config)).release();
}
