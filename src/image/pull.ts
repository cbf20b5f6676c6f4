import { ImageError } from "../errors/index.ts";
import { readGlobalConfig, type GlobalConfig, type Home } from "../store/index.ts";
import type { RootFileSystem } from "./embedded.ts";
import { fetchImage } from "./fetch.ts";
import type { ImageConfig } from "./image-config.ts";
import { defaultImportLimits, type ImportLimits } from "./import/limits.ts";
import type { Platform } from "./manifest.ts";
import { materialize } from "./materialize.ts";
import { hostPlatform } from "./platform.ts";
import type { PullProgressListener } from "./pull-progress.ts";
import { parseReference, type ImageReference } from "./reference.ts";
import type { RetryPolicy } from "./registry/retry.ts";
import { openSession, type RegistryOptions } from "./registry/settings.ts";
import { findImage, readStoredImage, type NamedImage, type StoredImage } from "./store/images.ts";
import { nameImage } from "./store/index-file.ts";
import { exists, hasBlob, imageStore, prepareStore, type ImageStore } from "./store/layout.ts";
import { withLease } from "./store/leases.ts";
import { rootFileSystemKey, rootFileSystemPath, touchRootFileSystem } from "./store/rootfs.ts";

/**
 * When the registry is asked: always (what is stored is used if the registry still means it), only for what is not
 * stored, never.
 */
export type PullPolicy = "always" | "if-missing" | "never";

export interface PullOptions {
  readonly home: Home;
  readonly policy?: PullPolicy | undefined;
  readonly registry?: RegistryOptions | undefined;
  /** The user's settings; read from the home directory when they are needed and not given. */
  readonly config?: GlobalConfig | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly platform?: Platform | undefined;
  readonly limits?: ImportLimits | undefined;
  /** Layers that are downloaded at once; 3 as docker does. */
  readonly parallelLayers?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** How long the registry may be silent, in milliseconds; one minute when not given. */
  readonly silenceMs?: number | undefined;
  /** Told of every step, in order. */
  readonly onProgress?: PullProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

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
 * Makes an image ready: from the store without any network, or else from its registry.
 *
 * @throws ImageError when the reference, the image or a login is refused, or the policy is `never` and the image is not
 *   stored; HttpError when the registry cannot be reached; InvalidConfigError, IoError; the signal's reason
 * @example
 * ```ts
 * const image = await pullImage("alpine:3.20", { home: locateHome(), policy: "if-missing" });
 * console.log(image.rootFileSystem.path, image.config.cmd);
 * ```
 */
export async function pullImage(reference: string, options: PullOptions): Promise<PulledImage> {
  const parsed = parseReference(reference);
  const { policy = "if-missing", signal } = options;
  signal?.throwIfAborted();
  const store = imageStore(options.home);
  const report: PullProgressListener = options.onProgress ?? (() => undefined);
  report({ kind: "resolving", reference: parsed.canonical });
  const cached = await findImage(store, parsed.canonical);
  if (policy !== "always" && cached !== null) {
    const image = await useStored(store, cached, options, report);
    if (image !== null) return image;
  }
  if (policy === "never") {
    throw new ImageError(`the image ${parsed.canonical} is not stored here, and the pull policy is never`, {
      hint: `Pull it first ("msb pull ${reference}"), or use the policy if-missing.`,
    });
  }
  await prepareStore(store);
  return pullFromRegistry(store, parsed, cached, options, report);
}

/**
 * The image with this manifest, without any network: how a sandbox that pinned it at its creation finds it again.
 *
 * @throws ImageError when it is not stored any more
 */
export async function storedImage(
  manifestDigest: string,
  reference: string,
  options: Pick<PullOptions, "home" | "limits" | "signal">,
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

/** @returns null when parts of the image are missing */
async function useStored(
  store: ImageStore,
  image: StoredImage & Pick<NamedImage, "reference">,
  options: Pick<PullOptions, "limits" | "signal">,
  report: PullProgressListener,
): Promise<PulledImage | null> {
  const { reference, manifestDigest, config, layers } = image;
  const path = rootFileSystemPath(store, config.diffIds);
  const isReady = await exists(path);
  if (!isReady) {
    const present = await Promise.all(layers.map(({ digest, size }) => hasBlob(store, digest, size)));
    if (present.includes(false)) return null;
  }
  const layerCount = layers.length;
  report({ kind: "resolved", reference, manifestDigest, layerCount, totalDownloadBytes: null });
  if (!isReady) {
    const lease = {
      blobs: [manifestDigest, image.configDigest, ...layers.map(({ digest }) => digest)],
      rootfs: [rootFileSystemKey(config.diffIds)],
    };
    const { limits = defaultImportLimits, signal } = options;
    await withLease(store, lease, signal, () => materialize(store, image, reference, limits, report, signal));
  }
  return finish(store, image, reference, report);
}

async function pullFromRegistry(
  store: ImageStore,
  reference: ImageReference,
  earlier: NamedImage | null,
  options: PullOptions,
  report: PullProgressListener,
): Promise<PulledImage> {
  const { signal, limits = defaultImportLimits } = options;
  using session = await openSession(reference.domain, {
    ...options,
    config: options.config ?? (await readGlobalConfig(options.home)),
  });
  const request = {
    store,
    reference,
    session,
    platform: options.platform ?? hostPlatform(),
    earlier,
    parallel: options.parallelLayers ?? 3,
    report,
    signal,
  };
  return await fetchImage(request, async (image) => {
    const name = reference.canonical;
    await materialize(store, image, name, limits, report, signal);
    const { mediaType, manifestDigest: digest, manifestSize: size, sourceDigest } = image;
    // Last: only what is whole gets a name.
    await nameImage(store, name, { mediaType, digest, size, sourceDigest }, signal);
    return finish(store, image, name, report);
  });
}

async function finish(
  store: ImageStore,
  { manifestDigest, config, layers }: StoredImage,
  reference: string,
  report: PullProgressListener,
): Promise<PulledImage> {
  const path = rootFileSystemPath(store, config.diffIds);
  await touchRootFileSystem(path);
  report({ kind: "complete", reference, layerCount: layers.length });
  return { reference, manifestDigest, config, rootFileSystem: { path, fsType: "erofs" } };
}
