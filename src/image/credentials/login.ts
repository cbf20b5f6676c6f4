import { readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import type { RegistryAuthEntry } from "../../config/global/registries.ts";
import { withLock } from "../../host/locks/lock.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { writeUserFile } from "../../host/files/user-file.ts";
import type { Home } from "../../store/home.ts";
import { parseReference } from "../reference.ts";
import { eraseWithHelper, keyringHelper, storeWithHelper } from "./helper.ts";
import { secretFile } from "./search.ts";

/** A registry that `config.json` has a login for. The password is not part of it. */
export interface RegistryLogin {
  readonly registry: string;
  readonly username: string;
  /** Where the password is: the system's credential store, a variable of the environment, a file of the home directory. */
  readonly source: "keyring" | "environment" | "file";
}

export interface LoginOptions {
  readonly username: string;
  readonly password: string;
  /**
   * Where the password goes: the system's credential store, by docker's helper for it, or a file that only this user can
   * read.
   */
  readonly store: "keyring" | "file";
  readonly environment?: NodeJS.ProcessEnv | undefined;
}

/**
 * Keeps a login for a registry.
 *
 * @param registry `host` or `host:port`
 * @throws InvalidConfigError when the name or `config.json` is not usable; ImageError when the system's store refuses
 * @example
 * ```ts
 * await saveLogin(locateHome(), "ghcr.io", { username: "me", password: token, store: "file" });
 * ```
 */
export async function saveLogin(home: Home, registry: string, options: LoginOptions): Promise<void> {
  const domain = registryDomain(registry);
  const { username, password, environment = process.env } = options;
  if (username === "") throw new InvalidConfigError("the user name is empty");
  if (password === "") throw new InvalidConfigError("the password is empty");
  const earlier = await findEntry(home, domain);
  let entry: RegistryAuthEntry;
  if (options.store === "keyring") {
    await storeWithHelper(keyringHelper(), domain, { username, password }, environment);
    entry = { username, store: "keyring" };
  } else {
    const secret_name = domain.replaceAll(/[^A-Za-z0-9.-]/g, "_").replace(/^_/, "ipv6_");
    const path = secretFile(home, secret_name);
    await makeDirectory(dirname(path));
    await writeFileAtomically(path, password);
    entry = { username, secret_name };
  }
  await changeEntry(home, domain, entry);
  if (earlier !== undefined && storeOf(earlier) !== storeOf(entry))
    await forgetPassword(home, domain, earlier, environment);
}

/**
 * Forgets a login, and the password where it was kept by `saveLogin`.
 *
 * @returns false when there was none
 */
export async function removeLogin(
  home: Home,
  registry: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<boolean> {
  const domain = registryDomain(registry);
  const entry = await findEntry(home, domain);
  if (entry === undefined) return false;
  await changeEntry(home, domain, null);
  await forgetPassword(home, domain, entry, environment);
  return true;
}

/** The logins of `config.json`, by registry. */
export async function listLogins(home: Home): Promise<RegistryLogin[]> {
  const { registries } = await readGlobalConfig(home);
  const entries = new Map<string, RegistryAuthEntry>(Object.entries(registries?.auth ?? {}));
  for (const [host, { auth }] of Object.entries(registries?.hosts ?? {})) {
    if (auth !== null && auth !== undefined) entries.set(host, auth);
  }
  return [...entries]
    .map(([registry, entry]) => ({ registry, username: entry.username, source: storeOf(entry) }))
    .sort((a, b) => (a.registry < b.registry ? -1 : 1));
}

/** Docker Hub goes by several names; the one in references is used. @throws InvalidConfigError */
export function registryDomain(registry: string): string {
  const host = registry.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  if (["docker.io", "index.docker.io", "registry-1.docker.io"].includes(host)) return "docker.io";
  try {
    const { domain } = parseReference(`${host}/x`);
    if (domain === host) return domain;
  } catch {
    // Told below.
  }
  throw new InvalidConfigError(`${JSON.stringify(registry)} is no registry`, {
    hint: "Write it as host or host:port, such as ghcr.io.",
  });
}

function storeOf(entry: RegistryAuthEntry): RegistryLogin["source"] {
  if (typeof entry.store === "string") return "keyring";
  return typeof entry.secret_name === "string" ? "file" : "environment";
}

async function findEntry(home: Home, domain: string): Promise<RegistryAuthEntry | undefined> {
  const { registries } = await readGlobalConfig(home);
  return registries?.hosts?.[domain]?.auth ?? registries?.auth?.[domain];
}

async function forgetPassword(
  home: Home,
  domain: string,
  entry: RegistryAuthEntry,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  if (typeof entry.secret_name === "string") await rm(secretFile(home, entry.secret_name), { force: true });
  if (typeof entry.store === "string") await eraseWithHelper(keyringHelper(), domain, environment);
}

type JsonObject = Record<string, unknown>;

/** Changes one login and leaves everything else in `config.json` as it is, known here or not. */
async function changeEntry(home: Home, domain: string, entry: RegistryAuthEntry | null): Promise<void> {
  await makeDirectory(dirname(home.configFile));
  await withLock(`${home.configFile}.lock`, async () => {
    // Its form has been checked by readGlobalConfig.
    const config = await readJson(home.configFile);
    const registries = objectIn(config, "registries");
    Reflect.deleteProperty(objectIn(registries, "auth"), domain);
    const hosts = objectIn(registries, "hosts");
    const host = objectIn(hosts, domain);
    if (entry === null) delete host["auth"];
    else host["auth"] = entry;
    if (Object.keys(host).length === 0) Reflect.deleteProperty(hosts, domain);
    for (const key of ["auth", "hosts"]) {
      if (Object.keys(objectIn(registries, key)).length === 0) Reflect.deleteProperty(registries, key);
    }
    // The user's file, who may have put a link there.
    await writeUserFile(home.configFile, JSON.stringify(config, null, 2) + "\n", { mode: 0o600 });
  });
}

async function readJson(path: string): Promise<JsonObject> {
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    return isObject(json) ? json : {};
  } catch (error) {
    if (errorCode(error) === "ENOENT") return {};
    throw error instanceof SyntaxError
      ? new InvalidConfigError(`${path} is not JSON`, { cause: error })
      : ioError(`read ${path}`, error);
  }
}

function objectIn(parent: JsonObject, key: string): JsonObject {
  const existing = Object.hasOwn(parent, key) ? parent[key] : undefined;
  if (isObject(existing)) return existing;
  const made: JsonObject = {};
  parent[key] = made;
  return made;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
