import { ImageError } from "../errors/index.ts";
import type { RootFileSystem } from "./embedded.ts";
import type { ImageConfig } from "./image-config.ts";
import type { StoredOptions } from "./pull/materialize.ts";
import type { PullProgressListener } from "./pull/pull-progress.ts";
import { readStoredImage, type StoredImage } from "./store/images.ts";
import { hasBlob, imageStore, type ImageStore } from "./store/layout.ts";
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
  const found =
    image === null ? null : await useStored(store, { ...image, reference }, options, () => undefined);
  if (found !== null) return found;
  throw new ImageError(`the image ${reference} (${manifestDigest}) is not stored any more`, {
    hint: `Pull it again: msb pull ${reference}`,
  });
}

/**
 * The image as it stands in the store; what else belongs to it is loaded only if its root file system must be made.
 *
 * @returns null when parts of the image are missing
 */
export async function useStored(
  store: ImageStore,
  image: StoredImage & { readonly reference: string },
  options: StoredOptions,
  report: PullProgressListener,
): Promise<PulledImage | null> {
  const { reference, manifestDigest, config, layers } = image;
  const isReady = await useRootFileSystem(rootFileSystemPath(store, config.diffIds));
  if (!isReady) {
    const present = await Promise.all(layers.map(({ digest, size }) => hasBlob(store, digest, size)));
    if (present.includes(false)) return null;
  }
  const layerCount = layers.length;
  report({ kind: "resolved", reference, manifestDigest, layerCount, totalDownloadBytes: null });
  if (!isReady) {
    const { materializeStored } = await import("./pull/materialize.ts");
    await materializeStored(store, image, reference, options, report);
  }
  return readyImage(store, image, reference, report);
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
