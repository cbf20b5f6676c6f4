import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { RegistryAuthEntry } from "../../config/global/registries.ts";
import type { Home } from "../../store/home.ts";
import type { RegistryAuth } from "../../config/registry-config.ts";
import type { Credential } from "./credential.ts";
import { credentialFromDocker } from "./docker-config.ts";
import { keyringHelper, runHelper } from "./helper.ts";

/**
 * Finds out as whom to ask a registry: the caller's word, `config.json`, docker's configuration, nobody. The caller's
 * `anonymous` ends the search before it begins.
 */
export interface CredentialSearch {
  readonly explicit: RegistryAuth | undefined;
  readonly home: Home;
  readonly config: GlobalConfig;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

export interface FoundCredential {
  readonly credential: Credential | null;
  readonly source: "explicit" | "config.json" | "docker" | "anonymous";
  /** Sources that should have had one and could not be read, for the error of a registry that refuses. */
  readonly notes: readonly string[];
}

/**
 * @throws InvalidConfigError when the entry for this registry cannot be used, ImageError when its helper fails; the
 *   signal's reason
 */
export async function findCredential(domain: string, search: CredentialSearch): Promise<FoundCredential> {
  const { explicit, config, environment, signal } = search;
  if (explicit !== undefined) {
    const credential = explicit.kind === "anonymous" ? null : { ...explicit };
    return { credential, source: "explicit", notes: [] };
  }
  const entry = config.registries?.hosts?.[domain]?.auth ?? config.registries?.auth?.[domain];
  if (entry !== undefined) {
    return {
      credential: await readEntry(domain, entry, search),
      source: "config.json",
      notes: [],
    };
  }
  const docker = await credentialFromDocker(domain, environment, signal);
  return {
    credential: docker.credential,
    source: docker.credential === null ? "anonymous" : "docker",
    notes: docker.notes,
  };
}

/** Where `secret_name` of `config.json` is looked for. */
export function secretFile(home: Home, name: string): string {
  return join(home.root, "secrets", "registries", name);
}

async function readEntry(
  domain: string,
  entry: RegistryAuthEntry,
  { home, environment, signal }: CredentialSearch,
): Promise<Credential> {
  const { username } = entry;
  const where = `the login for ${domain} in ${home.configFile}`;
  if (typeof entry.password_env === "string") {
    const password = environment[entry.password_env];
    if (password === undefined || password === "") {
      throw new InvalidConfigError(
        `${where} needs the environment variable ${entry.password_env}, which is not set`,
      );
    }
    return { kind: "basic", username, password };
  }
  if (typeof entry.secret_name === "string") {
    const path = secretFile(home, entry.secret_name);
    try {
      const password = (await readFile(path, "utf8")).replace(/\r?\n$/, "");
      return { kind: "basic", username, password };
    } catch (error) {
      throw new InvalidConfigError(`${where} needs the file ${path}, which cannot be read`, { cause: error });
    }
  }
  const helper = keyringHelper();
  const found = await runHelper(helper, domain, environment, { signal });
  if (found?.kind === "basic") return { ...found, username };
  throw new InvalidConfigError(`${where} is not in the system's credential store`, {
    hint: `Log in again with "msb registry login ${domain}".`,
  });
}
