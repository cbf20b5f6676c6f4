import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";
import { errorCode } from "../../host/system-error.ts";
import { userHomeDirectory } from "../../host/system/user-home.ts";
import type { Credential } from "./credential.ts";
import { runHelper } from "./helper.ts";

/** What is read of docker's `config.json`; everything else in it is docker's. */
const schema = v.object({
  auths: v.nullish(
    keyed(
      v.object({
        auth: v.nullish(v.string()),
        username: v.nullish(v.string()),
        password: v.nullish(v.string()),
        identitytoken: v.nullish(v.string()),
      }),
    ),
  ),
  credsStore: v.nullish(v.string()),
  credHelpers: v.nullish(keyed(v.string())),
});
type DockerConfig = v.InferOutput<typeof schema>;

/** The key under which docker keeps the login for docker.io. */
const dockerHubKey = "https://index.docker.io/v1/";

/**
 * The credential that docker would use: of the registry's own helper, else of the general one, else from the file itself.
 * A file or a general helper that does not work is noted, not fatal: most images are public, and a leftover of a removed
 * docker must not keep them away. A helper that is named for this registry must work.
 *
 * @throws ImageError; the signal's reason
 */
export async function credentialFromDocker(
  domain: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<{ credential: Credential | null; notes: readonly string[] }> {
  const path = dockerConfigFile(environment);
  const notes: string[] = [];
  const config = path === null ? null : await readDockerConfig(path, notes);
  if (config === null) return { credential: null, notes };
  const server = domain === "docker.io" ? dockerHubKey : domain;
  const own = config.credHelpers?.[domain] ?? config.credHelpers?.[server];
  if (own !== undefined) return { credential: await runHelper(own, server, environment, { signal }), notes };
  if (typeof config.credsStore === "string" && config.credsStore !== "") {
    try {
      const credential = await runHelper(config.credsStore, server, environment, { signal });
      if (credential !== null) return { credential, notes };
    } catch (error) {
      signal?.throwIfAborted();
      notes.push(error instanceof Error ? `${error.message}.` : "");
    }
  }
  return { credential: fromFile(config, domain), notes };
}

/** @returns null for a user without a home directory */
function dockerConfigFile(environment: NodeJS.ProcessEnv): string | null {
  const configured = environment["DOCKER_CONFIG"];
  if (configured !== undefined && configured !== "") return join(configured, "config.json");
  const home = environment["HOME"] ?? userHomeDirectory();
  return home === null ? null : join(home, ".docker", "config.json");
}

async function readDockerConfig(path: string, notes: string[]): Promise<DockerConfig | null> {
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    // To the schema it is an object that says nothing.
    if (Array.isArray(json)) throw new TypeError("a list");
    return v.parse(schema, json);
  } catch (error) {
    const code = errorCode(error);
    // The text of a JSON or schema error may quote the file, so it is left out.
    if (code !== "ENOENT" && code !== "ENOTDIR")
      notes.push(`(${path} could not be used: ${code ?? "it is damaged"}.)`);
    return null;
  }
}

function fromFile(config: DockerConfig, domain: string): Credential | null {
  const wanted = domain === "docker.io" ? ["index.docker.io", "docker.io", "registry-1.docker.io"] : [domain];
  for (const [key, entry] of Object.entries(config.auths ?? {})) {
    // Docker wrote URLs once: https://host/v1/.
    const host = key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    if (!wanted.includes(host)) continue;
    if (typeof entry.identitytoken === "string" && entry.identitytoken !== "") {
      return { kind: "identityToken", token: entry.identitytoken };
    }
    const decoded = Buffer.from(entry.auth ?? "", "base64").toString();
    const colon = decoded.indexOf(":");
    const username = colon > 0 ? decoded.slice(0, colon) : (entry.username ?? "");
    // Docker pads some passwords with NUL.
    const password = colon > 0 ? decoded.slice(colon + 1).replace(/\0+$/, "") : (entry.password ?? "");
    if (username !== "") return { kind: "basic", username, password };
  }
  return null;
}
