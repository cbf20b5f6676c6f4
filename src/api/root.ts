import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ImageError, InvalidConfigError } from "../errors/index.ts";
import { isEmbeddedImage } from "../image/index.ts";
import type { PulledImage } from "../image/pull.ts";
import { parseReference } from "../image/reference.ts";
import type { RegistryOptions } from "../image/registry/settings.ts";
import type { GlobalConfig, Home, StoredConfig } from "../store/index.ts";
import { loadHold, loadPull, loadRegistrySettings } from "./image-code.ts";
import { mergeImageConfig } from "./image-merge.ts";
import type { CreateObserver } from "./progress.ts";
import type { RegistryConfig } from "./registry-config.ts";
import type { RootfsSource } from "./rootfs-source.ts";

/** Between a pull and the sandbox that uses it, someone may remove the image; then it is pulled again, so many times. */
const pullTries = 3;

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
    const { readCertificates, splitCertificates } = await loadRegistrySettings();
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
  readonly stored: StoredConfig;
  readonly registry: RegistryOptions | undefined;
}

/**
 * Gets the image, if it is one, and calls `use` with the configuration that has its settings and its digest. While `use`
 * runs, nobody removes the image; from then on the sandbox's record is what holds it.
 *
 * @throws ImageError, HttpError, IoError; the reason of the observer's signal
 */
export async function withRoot<T>(
  { home, settings, stored, registry }: RootRequest,
  observer: CreateObserver,
  use: (stored: StoredConfig) => Promise<T>,
): Promise<T> {
  const { image } = stored;
  if (image.kind !== "oci" || isEmbeddedImage(image.reference)) return await use(stored);
  const [{ pullImage }, { holdImage }] = await Promise.all([loadPull(), loadHold()]);
  for (let tries = 1; tries <= pullTries; tries += 1) {
    const pulled: PulledImage = await pullImage(image.reference, {
      home,
      config: settings,
      policy: stored.pullPolicy,
      registry,
      onProgress: observer.onPullProgress,
      signal: observer.signal,
    });
    const merged = { ...mergeImageConfig(stored, pulled.config), imageDigest: pulled.manifestDigest };
    const held = await holdImage(home, pulled, observer.signal, () => use(merged));
    if (held !== null) return held.result;
  }
  throw new ImageError(`the image ${image.reference} is removed each time it has been pulled`, {
    hint: "Something prunes images all the time; stop it.",
  });
}
