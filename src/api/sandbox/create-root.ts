import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { isEmbeddedImage } from "../../image/embedded.ts";
import type { PulledImage } from "../../image/stored.ts";
import { parseReference } from "../../image/reference.ts";
import type { PullOptions } from "../../image/pull/pull-options.ts";
import type { RegistryOptions } from "../../image/registry/settings.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { FoundSnapshot } from "../../store/snapshots/snapshots.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { mergeImageConfig } from "../images/image-merge.ts";
import type { CreateObserver } from "./progress.ts";
import type { RegistryConfig } from "../../config/registry-config.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";

/**
 * The root as it is stored: paths absolute, and what they name is there.
 *
 * @throws InvalidConfigError; ImageError for a reference that is none
 */
export async function checkRoot(source: RootfsSource): Promise<RootfsSource> {
  if (source.kind === "oci") {
    parseReference(source.reference);
    return source;
  }
  const path = resolve(source.path);
  const what = source.kind === "bind" ? "directory" : "disk image";
  const found = await stat(path).catch((error: unknown) => {
    throw new InvalidConfigError(`the ${what} ${path}, the root of the sandbox, cannot be read`, {
      cause: error,
      hint: "Correct the path.",
    });
  });
  if (source.kind === "bind" ? found.isDirectory() : found.isFile()) return { ...source, path };
  throw new InvalidConfigError(`the root of the sandbox, ${path}, is no ${what}`, {
    hint: source.kind === "bind" ? "Name a directory." : "Name a regular file.",
  });
}

/** @throws InvalidConfigError when a certificate cannot be read */
export async function registryOptions(registry: RegistryConfig): Promise<RegistryOptions> {
  const { auth, insecure, caCerts, caCertsPath } = registry;
  const caCertificates = [...caCerts];
  if (caCertsPath !== undefined || caCertificates.length > 0) {
    const { readCertificates, splitCertificates } = await import("../../image/registry/settings.ts");
    caCertificates.forEach(splitCertificates);
    if (caCertsPath !== undefined) caCertificates.push(await readCertificates(caCertsPath));
  }
  return {
    caCertificates,
    ...(auth === undefined ? {} : { auth }),
    // Not said means: as config.json has it.
    ...(insecure ? { insecure } : {}),
  };
}

export interface RootRequest {
  readonly home: Home;
  readonly settings: GlobalConfig;
  /** With the digest of an image that was chosen before: its tag is not looked at then. */
  readonly stored: StoredConfig;
  readonly registry: RegistryOptions | undefined;
  /** The snapshot that it begins with, whose image it gets. */
  readonly origin: FoundSnapshot | null;
}

export interface ResolvedRoot {
  /** With the image's settings and its digest. */
  readonly stored: StoredConfig;
  /** Whether the image is there and stays: asked once a sandbox's record on the disk names it. */
  isStored(signal: AbortSignal | undefined): Promise<boolean>;
}

/**
 * Gets the image, if the root is one.
 *
 * @throws ImageError, HttpError, IoError; SnapshotImageMissingError, SnapshotIntegrityError for that of a snapshot; the reason of the
 *   observer's signal
 */
export async function resolveRoot(
  { home, settings, stored, registry, origin }: RootRequest,
  observer: CreateObserver,
): Promise<ResolvedRoot> {
  const { image } = stored;
  const snapshotDigest = origin?.digest ?? null;
  if (image.kind !== "oci" || isEmbeddedImage(image.reference)) {
    return { stored: { ...stored, snapshotDigest }, isStored: () => Promise.resolve(true) };
  }
  const { isHeld } = await import("../images/image-hold.ts");
  const options: PullOptions = {
    home,
    config: settings,
    policy: stored.pullPolicy,
    registry,
    onProgress: observer.onPullProgress,
    signal: observer.signal,
  };
  const pulled = await imageOf(image.reference, stored.imageDigest, origin, options);
  return {
    stored: {
      ...mergeImageConfig(stored, pulled.config),
      imageDigest: pulled.manifestDigest,
      snapshotDigest,
    },
    isStored: (signal) => isHeld(home, pulled, signal),
  };
}

/** @param digest null: whatever the reference means now */
async function imageOf(
  reference: string,
  digest: string | null,
  origin: FoundSnapshot | null,
  options: PullOptions,
): Promise<PulledImage> {
  if (origin !== null) {
    const { pinnedImage } = await import("../snapshots/origin/pinned-image.ts");
    return await pinnedImage(origin, options);
  }
  if (digest !== null) {
    const { imageByDigest } = await import("../images/image-by-digest.ts");
    return await imageByDigest(reference, digest, options);
  }
  const { pullImage } = await import("../../image/pull/pull.ts");
  return await pullImage(reference, options);
}
