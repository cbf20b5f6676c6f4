import { UnsupportedError } from "../../errors/index.ts";
import { checkVolumeName } from "../../config/sandbox-name.ts";
import { checkVolumeConfig, type VolumeConfigInput } from "../../config/volumes/volume-config.ts";
import { checkCallOptions } from "../../host/call-options.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { pruneVolumes } from "../../store/volumes/volume-removal.ts";
import { volumeUsage } from "../../store/volumes/volume-usage.ts";
import { findVolume, listVolumes, type FoundVolume } from "../../store/volumes/volumes.ts";
import { makeVolume } from "./make-volume.ts";
import { VolumeBuilder } from "./volume-builder.ts";
import { removeNamed, VolumeHandle } from "./volume-handle.ts";
import { Volume as VolumeObject } from "./volume.ts";
import { withStatics } from "../with-statics.ts";

/** What {@link Volume.prune} has removed. */
export interface VolumePruneReport {
  readonly volumesRemoved: readonly string[];
  readonly bytesReclaimed: number;
}

/** The ways to get a volume. They are apart from its class because they need what makes volumes, which needs the class. */
const statics = {
  /** Begins a new volume. What is wrong with the name is reported by `build()` and `create()`. */
  builder(name: string): VolumeBuilder {
    return new VolumeBuilder(name);
  },

  /** Creates a volume from an object: `{ name, kind, quotaMib, sizeMib, labels }`. @throws as `VolumeBuilder.create` */
  async create(config: VolumeConfigInput, options: WaitOptions = {}): Promise<VolumeObject> {
    return await makeVolume(checkVolumeConfig(config), options);
  },

  /** @throws VolumeNotFoundError; InvalidConfigError for a name that none can have */
  async get(name: string, options: WaitOptions = {}): Promise<VolumeHandle> {
    checkVolumeName(name);
    return await Operation.run(`find volume ${name}`, options, async (operation) =>
      operation.wait(findVolume(locateHome(), name).then(handleOf)),
    );
  },

  /** All volumes, by name. */
  async list(options: WaitOptions = {}): Promise<VolumeHandle[]> {
    return await Operation.run("list the volumes", options, async (operation) => {
      const found = await operation.wait(listVolumes(locateHome()));
      return await operation.wait(Promise.all(found.map(handleOf)));
    });
  },

  /** Removes a volume with its data. @throws VolumeNotFoundError; InvalidConfigError when a sandbox that runs uses it; IoError */
  async remove(name: string, options: WaitOptions = {}): Promise<void> {
    checkVolumeName(name);
    await removeNamed(name, options);
  },

  /**
   * Removes every volume that no sandbox has, running or not.
   *
   * @throws IoError, also when a sandbox cannot be read, so that it may have any of them
   */
  async prune(options: WaitOptions = {}): Promise<VolumePruneReport> {
    return await Operation.run("prune the volumes", options, ({ signal }) =>
      pruneVolumes(locateHome(), signal),
    );
  },

  /** Only other backends have one. @throws UnsupportedError */
  async getDefault(options: WaitOptions = {}): Promise<VolumeHandle> {
    checkCallOptions("find the default volume", options);
    return await Promise.reject(
      new UnsupportedError("there is no default volume on this computer", { hint: "Name a volume." }),
    );
  },
};

async function handleOf(volume: FoundVolume): Promise<VolumeHandle> {
  return new VolumeHandle(volume, await volumeUsage(volume));
}

/**
 * A named volume: a directory or a disk of the host that outlives the sandboxes that use it.
 *
 * @example
 * ```ts
 * import { Volume } from "microsandbox";
 *
 * const volume = await Volume.create({ name: "volume-example" });
 * await volume.fs().write("greeting", "hello");
 * for (const { name, kind, usedBytes } of await Volume.list()) console.log(name, kind, usedBytes);
 * await Volume.remove("volume-example");
 * ```
 */
export const Volume: typeof VolumeObject & typeof statics = withStatics(VolumeObject, statics);
export type Volume = VolumeObject;
