/** What `msb ssh` does besides serving: keys, and what OpenSSH is told. */
import { locateHome } from "../../store/home.ts";
import { sandboxPaths } from "../../store/sandboxes.ts";
import { Sandbox } from "../index.ts";

/**
 * Adds public keys to those that open all sandboxes.
 *
 * @param text as `~/.ssh/id_ed25519.pub` has
 * @returns how many are new
 * @throws InvalidConfigError, IoError
 */
export async function authorize(text: string): Promise<number> {
  const { authorizedKeysPath, authorizeKeys } = await import("../../ssh/keys/authorized-keys.ts");
  return await authorizeKeys(authorizedKeysPath(locateHome().root), text);
}

/**
 * A block of OpenSSH's `ssh_config` for a sandbox, whether it runs or not. It makes the host key if there is none, so that clients know it.
 *
 * @param msb the words with which this `msb` is started
 * @throws SandboxNotFoundError, IoError
 */
export async function clientConfig(name: string, user: string, msb: readonly string[]): Promise<string> {
  await Sandbox.get(name);
  const home = locateHome();
  const { writeKnownHosts } = await import("../../ssh/keys/host-key.ts");
  const alias = `msb-${name}`;
  const knownHosts = await writeKnownHosts(sandboxPaths(home, name).directory, alias);
  const { MSB_HOME } = process.env;
  const environment = MSB_HOME === undefined || MSB_HOME === "" ? [] : ["env", `MSB_HOME=${home.root}`];
  const proxy = [...environment, ...msb, "ssh", "serve", "--stdio", name].map(shellWord).join(" ");
  return [
    `Host ${alias}`,
    `  User ${user}`,
    `  ProxyCommand ${escapeTokens(proxy)}`,
    `  HostKeyAlias ${alias}`,
    `  UserKnownHostsFile "${escapeTokens(knownHosts)}"`,
    "  StrictHostKeyChecking yes",
    "  PreferredAuthentications publickey",
    "  ForwardAgent no",
    "  ServerAliveInterval 60",
    "",
  ].join("\n");
}

/** As sh(1) reads it back. */
function shellWord(word: string): string {
  return /^[\w./=:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** ssh_config(5), TOKENS. */
function escapeTokens(text: string): string {
  return text.replaceAll("%", "%%");
}
