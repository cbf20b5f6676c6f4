import { ImageError } from "../errors/index.ts";
import type { RootFileSystem } from "./embedded.ts";
import type { ImageConfig } from "./image-config.ts";
import type { Descriptor } from "./manifest.ts";
import type { StoredOptions } from "./pull/materialize.ts";
import type { PullProgressListener } from "./pull/pull-progress.ts";
import { pinnedName } from "./reference.ts";
import { damageError, damageOf, readStoredImage, type StoredImage } from "./store/images.ts";
import { blobPath, exists, hasBlob, imageStore, type ImageStore } from "./store/layout.ts";
import { rootFileSystemPath, useRootFileSystem } from "./store/rootfs-path.ts";

/** An image that is ready to be booted. */
export interface PulledImage {
  /** In full: `docker.io/library/alpine:latest`. */
  readonly reference: string;
  /** Pins what the reference meant: `storedImage` finds the image by it whatever the reference means later. */
  readonly manifestDigest: string;
  readonly config: ImageConfig;
  readonly rootFileSystem: RootFileSystem;
}

/**
 * The image with this manifest, without any network: how a sandbox that pinned it at its creation finds it again.
 *
 * @throws ImageError when it is not stored any more, or refused when its root file system is made; InvalidConfigError, IoError
 */
export async function storedImage(
  manifestDigest: string,
  reference: string,
  options: StoredOptions,
): Promise<PulledImage> {
  const store = imageStore(options.home);
  const image = await readStoredImage(store, manifestDigest);
  if (image !== null) {
    const found = await useStored(store, { ...image, reference }, options, () => undefined);
    if (found !== null) return found;
    throw damageError(pinnedName(reference, manifestDigest), "layers of it are missing or damaged");
  }
  const damage = (await exists(blobPath(store, manifestDigest)))
    ? await damageOf(store, manifestDigest)
    : null;
  if (damage !== null) throw damageError(pinnedName(reference, manifestDigest), damage);
  throw new ImageError(`the image ${reference} (${manifestDigest}) is not stored any more`, {
    hint: `Pull it again: msb pull ${pinnedName(reference, manifestDigest)}`,
  });
}

/**
 * The image as it stands in the store; what else belongs to it is loaded only if its root file system must be made.
 *
 * @returns null when parts of the image are missing or damaged
 */
export async function useStored(
  store: ImageStore,
  image: StoredImage & { readonly reference: string },
  options: StoredOptions,
  report: PullProgressListener,
): Promise<PulledImage | null> {
  const { reference, manifestDigest, config, layers } = image;
  const isReady = await useRootFileSystem(rootFileSystemPath(store, config.diffIds));
  if (!isReady && !(await hasLayers(store, layers))) return null;
  const layerCount = layers.length;
  report({ kind: "resolved", reference, manifestDigest, layerCount, totalDownloadBytes: null });
  if (!isReady) {
    const { materializeStored } = await import("./pull/materialize.ts");
    try {
      await materializeStored(store, image, reference, options, report);
    } catch (error) {
      // What is damaged was taken away, so that it is missing now.
      if (!(error instanceof ImageError) || (await hasLayers(store, layers))) throw error;
      return null;
    }
  }
  return readyImage(store, image, reference, report);
}

async function hasLayers(store: ImageStore, layers: readonly Descriptor[]): Promise<boolean> {
  const present = await Promise.all(layers.map(({ digest, size }) => hasBlob(store, digest, size)));
  return !present.includes(false);
}

/** Says that an image with its root file system is there. */
export function readyImage(
  store: ImageStore,
  { manifestDigest, config, layers }: StoredImage,
  reference: string,
  report: PullProgressListener,
): PulledImage {
  const path = rootFileSystemPath(store, config.diffIds);
  report({ kind: "complete", reference, layerCount: layers.length });
  return { reference, manifestDigest, config, rootFileSystem: { path, fsType: "erofs" } };
}
