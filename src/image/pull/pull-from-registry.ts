import { readGlobalConfig } from "../../store/global-config.ts";
import { fetchImage } from "./fetch.ts";
import { imageLimits } from "../limits.ts";
import { materialize } from "./materialize.ts";
import { hostPlatform } from "../platform.ts";
import type { PullProgressListener } from "./pull-progress.ts";
import type { PullOptions } from "./pull-options.ts";
import type { ImageReference } from "../reference.ts";
import { isInterruption } from "../registry/retry.ts";
import { openSession } from "../registry/settings.ts";
import { bringing } from "../store/brought.ts";
import type { NamedImage } from "../store/images.ts";
import { nameImage } from "../store/index-file.ts";
import { prepareStore, type ImageStore } from "../store/layout.ts";
import { rootFileSystemPath, useRootFileSystem } from "../store/rootfs-path.ts";
import { readyImage, type PulledImage } from "../stored.ts";

/**
 * Fetches an image and makes its root file system. What is there already is verified to its last byte, and what is damaged
 * is fetched or made again.
 *
 * @param earlier what is stored under the reference
 */
export async function pullFromRegistry(
  store: ImageStore,
  reference: ImageReference,
  earlier: NamedImage | null,
  options: PullOptions,
  report: PullProgressListener,
): Promise<PulledImage> {
  const { signal } = options;
  const config = options.config ?? (await readGlobalConfig(options.home));
  const limits = await imageLimits({ ...options, config });
  await prepareStore(store);
  using session = await openSession(reference.domain, { ...options, config });
  // What was refused goes; what an interruption left is the beginning of the next try.
  const leaves = (error: unknown): boolean => signal?.aborted === true || isInterruption(error);
  return await bringing(options.home, leaves, async (brought) => {
    const request = {
      store,
      reference,
      session,
      platform: options.platform ?? hostPlatform(),
      earlier,
      maxDownloadBytes: limits.maxDownloadBytes,
      parallel: options.parallelLayers ?? 3,
      report,
      brought,
      signal,
    };
    return await fetchImage(request, async (image) => {
      const name = reference.canonical;
      await materialize(store, image, name, { limits, thorough: true, report, signal });
      const { mediaType, manifestDigest: digest, manifestSize: size, sourceDigest } = image;
      await useRootFileSystem(rootFileSystemPath(store, image.config.diffIds));
      // Last: only what is whole gets a name.
      const other = await nameImage(store, name, { mediaType, digest, size, sourceDigest }, signal);
      await brought.addDisplaced(store, other);
      return readyImage(store, image, name, report);
    });
  });
}
