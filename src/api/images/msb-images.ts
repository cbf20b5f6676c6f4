import type { Readable, Writable } from "node:stream";
import { loadImages } from "../../image/archive/load.ts";
import { saveImages, type ArchiveFormat } from "../../image/archive/save.ts";
import { ImageError } from "../../errors/index.ts";
import {
  listLogins,
  registryDomain,
  removeLogin,
  saveLogin,
  type RegistryLogin,
} from "../../image/credentials/login.ts";
import { tryLogin } from "../../image/registry/try-login.ts";
import { embeddedRootFileSystem, isEmbeddedImage } from "../../image/embedded.ts";
import type { PullProgressListener } from "../../image/pull/pull-progress.ts";
import { pullImage } from "../../image/pull/pull.ts";
import type { PullPolicy } from "../../image/pull/pull-options.ts";
import { readCertificates } from "../../image/registry/settings.ts";
import { locateHome, prepareHome } from "../../store/home.ts";

/**
 * What `msb` does with images and registries beyond the public class `Image`: pulls that make no sandbox, archives through
 * pipes, logins. Everything is in the home directory that the environment names.
 */
export type { ArchiveFormat } from "../../image/archive/save.ts";
export type { RegistryLogin } from "../../image/credentials/login.ts";
export { warmImage } from "../setup/warm.ts";

export interface RegistryChoice {
  readonly insecure?: boolean | undefined;
  /** Path of a PEM file. */
  readonly caCerts?: string | undefined;
}

export interface PullChoice extends RegistryChoice {
  readonly policy: PullPolicy;
  readonly onProgress: PullProgressListener;
  readonly signal: AbortSignal;
}

/**
 * @returns the image's reference in full; null for the embedded image, which is there without a pull
 * @throws as `pullImage`
 */
export async function pull(reference: string, choice: PullChoice): Promise<string | null> {
  if (isEmbeddedImage(reference)) {
    await embeddedRootFileSystem();
    return null;
  }
  const { policy, onProgress, signal } = choice;
  const home = locateHome();
  await prepareHome(home);
  const registry = await registryOptions(choice);
  return (await pullImage(reference, { home, policy, registry, onProgress, signal })).reference;
}

/** @returns the references of the images, in the archive's order. @throws as `loadImages` */
export async function load(
  source: string | Readable,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  const home = locateHome();
  await prepareHome(home);
  const images = await loadImages(home, source, { tag, signal });
  return images.map(({ reference }) => reference);
}

/** @throws as `saveImages` */
export async function save(
  references: readonly string[],
  output: string | Writable,
  format: ArchiveFormat,
  signal: AbortSignal,
): Promise<void> {
  await saveImages(locateHome(), references, output, { format, signal });
}

export interface Login extends RegistryChoice {
  readonly username: string;
  readonly password: string;
}

/**
 * Keeps a login that the registry accepts: in the system's credential store, or in a file where there is none.
 *
 * @throws ImageError when the registry does not accept it, HttpError when it cannot be reached, InvalidConfigError, IoError
 */
export async function login(host: string, choice: Login, signal: AbortSignal): Promise<RegistryLogin> {
  const { username, password } = choice;
  const home = locateHome();
  const registry = registryDomain(host);
  await tryLogin(home, registry, { username, password, registry: await registryOptions(choice), signal });
  await prepareHome(home);
  try {
    await saveLogin(home, registry, { username, password, store: "keyring" });
    return { registry, username, source: "keyring" };
  } catch (error) {
    // No store, or none that answers now.
    if (!(error instanceof ImageError)) throw error;
  }
  await saveLogin(home, registry, { username, password, store: "file" });
  return { registry, username, source: "file" };
}

/** @returns the registry as references spell it. @throws ImageError when there is no login */
export async function logout(host: string): Promise<string> {
  const registry = registryDomain(host);
  if (await removeLogin(locateHome(), registry)) return registry;
  throw new ImageError(`there is no login for ${registry}`, {
    hint: 'See "msb registry ls". The logins of docker itself are forgotten with docker logout.',
  });
}

export async function logins(): Promise<RegistryLogin[]> {
  return listLogins(locateHome());
}

async function registryOptions({ insecure, caCerts }: RegistryChoice): Promise<{
  insecure: boolean | undefined;
  caCertificates: string[];
}> {
  return { insecure, caCertificates: caCerts === undefined ? [] : [await readCertificates(caCerts)] };
}
