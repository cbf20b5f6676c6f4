import { mkdir, readFile, realpath, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HttpError, ImageError, InvalidConfigError } from "../../errors/index.ts";
import {
  errorCode,
  ioError,
  prepareHome,
  readGlobalConfig,
  withLock,
  writeFileAtomically,
  type Home,
  type RegistryAuthEntry,
} from "../../store/index.ts";
import { parseReference } from "../reference.ts";
import { openSession, type RegistryOptions } from "../registry/settings.ts";
import { eraseWithHelper, keyringHelper, storeWithHelper } from "./helper.ts";
import { secretFile } from "./search.ts";

/** Logins that `config.json` knows: the user's name there, the password in the system's credential store or in a file. */
export interface RegistryLogin {
  readonly registry: string;
  readonly username: string;
  readonly source: "keyring" | "file" | "environment";
}

export interface LoginOptions {
  readonly username: string;
  readonly password: string;
  readonly registry?: Omit<RegistryOptions, "auth"> | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tries a user name and a password on a registry and, when it accepts them, keeps them for later pulls: the password in the
 * credential store of the system, or in a file that only this user can read where there is no such store.
 *
 * @param host as in references: `docker.io`, `registry.example.com:5000`
 * @throws ImageError when the registry refuses, HttpError when it cannot be reached, InvalidConfigError, IoError
 * @example
 * ```ts
 * const { source } = await logIn(locateHome(), "registry.example.com", { username: "me", password });
 * ```
 */
export async function logIn(home: Home, host: string, options: LoginOptions): Promise<RegistryLogin> {
  const { username, password, environment = process.env } = options;
  const registry = registryName(host);
  if (username === "" || /[:\p{Cc}]/u.test(username)) {
    throw new ImageError("the user name is empty, or holds a colon or a control character");
  }
  if (password === "") throw new ImageError("the password is empty");
  await tryLogin(home, registry, options);
  await prepareHome(home);
  return withLock(join(home.root, "config.lock"), async () => {
    const earlier = await findEntry(home, registry);
    const inKeyring = await storeInKeyring(registry, { username, password }, environment);
    const secretName = secretNameFor(registry);
    if (!inKeyring) await writeSecret(secretFile(home, secretName), password);
    const entry: RegistryAuthEntry = inKeyring
      ? { username, store: "keyring" }
      : { username, secret_name: secretName };
    await changeEntry(home, registry, entry);
    if (earlier !== null && earlier.secret_name !== entry.secret_name)
      await forget(home, registry, { ...earlier, store: null }, environment);
    return describe(registry, entry);
  });
}

/**
 * Forgets the login for a registry.
 *
 * @throws ImageError when there is none
 */
export async function logOut(
  home: Home,
  host: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const registry = registryName(host);
  await prepareHome(home);
  await withLock(join(home.root, "config.lock"), async () => {
    const entry = await findEntry(home, registry);
    if (entry === null) {
      throw new ImageError(`there is no login for ${registry}`, {
        hint: 'See "msb registry ls". Docker\'s own logins are forgotten with docker logout.',
      });
    }
    // The entry first: one that leads nowhere would make every pull from there fail.
    await changeEntry(home, registry, null);
    await forget(home, registry, entry, environment);
  });
  return registry;
}

/** The logins in `config.json`, by name. Passwords are not read. */
export async function listLogins(home: Home): Promise<RegistryLogin[]> {
  const { registries } = await readGlobalConfig(home);
  const found = new Map<string, RegistryAuthEntry>(Object.entries(registries?.auth ?? {}));
  for (const [host, { auth }] of Object.entries(registries?.hosts ?? {})) {
    if (auth !== null && auth !== undefined) found.set(host, auth);
  }
  return [...found]
    .map(([host, entry]) => describe(host, entry))
    .sort((a, b) => (a.registry < b.registry ? -1 : 1));
}

function describe(registry: string, entry: RegistryAuthEntry): RegistryLogin {
  const { username } = entry;
  if (entry.store === "keyring") return { registry, username, source: "keyring" };
  return { registry, username, source: typeof entry.secret_name === "string" ? "file" : "environment" };
}

/** As references spell it. @throws ImageError */
function registryName(host: string): string {
  const bare = host.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  let domain: string | null = null;
  try {
    domain = bare.includes("/") ? null : parseReference(`${bare}/image`).domain;
  } catch {
    // Said below in terms of what was given.
  }
  if (domain === null || (domain !== bare && bare !== "index.docker.io")) {
    throw new ImageError(`${JSON.stringify(host)} is no registry`, {
      hint: "Write it as in an image's name: docker.io, ghcr.io, registry.example.com:5000.",
    });
  }
  return domain;
}

async function tryLogin(home: Home, domain: string, options: LoginOptions): Promise<void> {
  const { username, password, environment, signal } = options;
  using session = await openSession(domain, {
    home,
    config: await readGlobalConfig(home),
    registry: { ...options.registry, auth: { kind: "basic", username, password } },
    environment,
  });
  const response = await session.send({ method: "GET", path: "", repository: "", signal });
  response.body.destroy();
  if (response.status === 403) throw session.refused("", 403);
  if (response.status !== 200) {
    throw new HttpError(`${domain} answered ${response.status} to the login`, {
      hint: "Is it a container registry?",
    });
  }
}

/** @returns false where there is no such store, or none that can be used now */
async function storeInKeyring(
  registry: string,
  login: { readonly username: string; readonly password: string },
  environment: NodeJS.ProcessEnv,
): Promise<boolean> {
  try {
    await storeWithHelper(keyringHelper(), registry, login, environment);
    return true;
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
}

async function forget(
  home: Home,
  registry: string,
  entry: RegistryAuthEntry,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  if (entry.store === "keyring") await eraseWithHelper(keyringHelper(), registry, environment);
  // A secret with another name was put there by the user, and may serve others too.
  if (entry.secret_name !== secretNameFor(registry)) return;
  try {
    await unlink(secretFile(home, secretNameFor(registry)));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw ioError(`remove the login for ${registry}`, error);
  }
}

/** One registry, one name: whatever a file's name cannot hold everywhere becomes its code. */
function secretNameFor(registry: string): string {
  const coded = registry.replace(/[^A-Za-z0-9.-]/g, (letter) => `_${letter.charCodeAt(0).toString(16)}`);
  return `login-${coded}`;
}

async function writeSecret(path: string, password: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw ioError(`create the directory ${dirname(path)}`, error);
  }
  await writeFileAtomically(path, password);
}

async function findEntry(home: Home, registry: string): Promise<RegistryAuthEntry | null> {
  const { registries } = await readGlobalConfig(home);
  return registries?.hosts?.[registry]?.auth ?? registries?.auth?.[registry] ?? null;
}

/** Changes nothing else of the user's file, whatever else is in it. */
async function changeEntry(home: Home, registry: string, entry: RegistryAuthEntry | null): Promise<void> {
  const document = await readDocument(home);
  const registries = objectIn(document, "registries");
  const hosts = objectIn(registries, "hosts");
  const host = objectIn(hosts, registry);
  if (entry === null) delete host["auth"];
  else host["auth"] = entry;
  if (Object.keys(host).length === 0) Reflect.deleteProperty(hosts, registry);
  if (Object.keys(hosts).length === 0) delete registries["hosts"];
  const older = registries["auth"];
  if (isObject(older)) {
    Reflect.deleteProperty(older, registry);
    if (Object.keys(older).length === 0) delete registries["auth"];
  }
  if (Object.keys(registries).length === 0) delete document["registries"];
  // The file that a symbolic link leads to is replaced, not the link.
  const path = await realpath(home.configFile).catch(() => home.configFile);
  await writeFileAtomically(path, `${JSON.stringify(document, null, 2)}\n`);
}

async function readDocument(home: Home): Promise<Record<string, unknown>> {
  // What this version understands of it must be valid, or the change would be lost among mistakes.
  await readGlobalConfig(home);
  try {
    const document: unknown = JSON.parse(await readFile(home.configFile, "utf8"));
    if (isObject(document)) return document;
    throw new InvalidConfigError(`${home.configFile} is no JSON object`);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return {};
    throw error;
  }
}

/** The object below a key, put there when it is missing. */
function objectIn(parent: Record<string, unknown>, key: string): Record<string, unknown> {
  const found = Object.hasOwn(parent, key) ? parent[key] : undefined;
  if (isObject(found)) return found;
  const made: Record<string, unknown> = {};
  parent[key] = made;
  return made;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
