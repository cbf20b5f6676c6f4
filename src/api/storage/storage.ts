import { checkPositive } from "../../config/checks.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import type { StoragePruneOptions, StoragePruneReport, StorageUsage } from "./storage-types.ts";

/**
 * What this package keeps on the disk of this computer, and how to get some of it back.
 *
 * @example
 * ```ts
 * import { Storage } from "microsandbox";
 *
 * const { kinds, totalBytes, reclaimableBytes } = await Storage.usage();
 * console.log(kinds.images.bytes <= totalBytes, reclaimableBytes <= totalBytes); // prints true true
 * const { images, bytesReclaimed } = await Storage.prune({ dryRun: true, olderThanSeconds: 7 * 86_400 });
 * console.log(`${images.references.length} images would go, with all ${bytesReclaimed} bytes`);
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- the name that programs know these functions by
export class Storage {
  /**
   * What everything takes on the disk, and what of it {@link prune} would free. Blocks that are there are counted, not the lengths of
   * files, each file once, whatever names it has. What files share without being one file (reflinks) cannot be seen, and counts in each of
   * them: on a file system with reflinks the disk may have more room than this says.
   *
   * @throws IoError when something of the home cannot be read
   */
  static async usage(options: WaitOptions = {}): Promise<StorageUsage> {
    const { findStorageUsage } = await import("./find-usage.ts");
    return await Operation.run("look at what is stored", options, ({ signal }) =>
      findStorageUsage(locateHome(), signal),
    );
  }

  /**
   * Removes what nobody needs: images that no sandbox and no snapshot has, templates that were not used for seven days or cannot be used, and
   * what killed processes have left. Sandboxes, volumes and snapshots stay, all that a running sandbox has, and what is being made.
   *
   * Images are fetched again when they are asked for, and a template is made again by the next start. The space of a template that a running
   * sandbox has mapped is free when that ends.
   *
   * @returns what was removed, or with `dryRun` would be
   * @throws InvalidConfigError; IoError, also when a sandbox or a snapshot cannot be read, so that it may need any image
   */
  static async prune(options: StoragePruneOptions & WaitOptions = {}): Promise<StoragePruneReport> {
    const prune = async ({ signal }: Operation): Promise<StoragePruneReport> => {
      const { dryRun = false, olderThanSeconds } = options;
      if (olderThanSeconds !== undefined && olderThanSeconds !== 0)
        checkPositive("olderThanSeconds", olderThanSeconds);
      const { pruneStorage } = await import("./prune-storage.ts");
      return await pruneStorage(locateHome(), { dryRun, olderThanSeconds }, signal);
    };
    return await Operation.run("prune what is stored", options, prune, {
      dryRun: "boolean",
      olderThanSeconds: "any",
    });
  }
}
