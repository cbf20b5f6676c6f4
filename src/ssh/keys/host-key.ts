import { link, lstat, mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { getuid } from "node:process";
import { IoError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { loadLibrary } from "../load-library.ts";

/** What a server proves with who it is. */
export interface HostKey {
  /** The private key in OpenSSH's format. */
  readonly text: string;
  /** As it stands in a `known_hosts`, behind the names of the host. */
  readonly publicKey: string;
}

/** Where a sandbox's host key is. In its own directory: a fork, or a sandbox from a snapshot, gets one of its own. */
export function hostKeyPath(sandboxDirectory: string): string {
  return join(sandboxDirectory, "ssh", "host_ed25519");
}

/**
 * Reads a host key. One that is not there is made, for its owner only, whole or not at all; of several processes that make one at the same
 * time, all get the one that was first.
 *
 * @throws IoError for what cannot be read, can be read by others, or is no private Ed25519 key
 */
export async function readHostKey(path: string): Promise<HostKey> {
  for (;;) {
    const text = await readPrivate(path);
    if (text !== null) return await parseHostKey(text, path);
    await makeHostKey(path);
  }
}

/** null when there is none. */
async function readPrivate(path: string): Promise<string | null> {
  try {
    const { uid, mode } = await lstat(path);
    if (uid !== getuid?.() || (mode & 0o177) !== 0) {
      throw new IoError(`the host key ${path} can be read or changed by others`, {
        hint: `Remove it, and the next server makes another one; or, if nobody has read it: chmod 600 ${path}`,
      });
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read the host key ${path}`, error);
  }
}

async function parseHostKey(text: string, path: string): Promise<HostKey> {
  const { utils } = await loadLibrary();
  const key = utils.parseKey(text);
  if (key instanceof Error || !key.isPrivateKey() || key.type !== "ssh-ed25519") {
    throw new IoError(`${path} is no private Ed25519 key without a passphrase`, {
      hint: "Remove it, and the next server makes one, or make one: ssh-keygen -t ed25519 -N '' -f FILE",
    });
  }
  return { text, publicKey: `${key.type} ${key.getPublicSSH().toString("base64")}` };
}

async function makeHostKey(path: string): Promise<void> {
  const text = await newKey();
  const aside = `${path}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    await mkdir(dirname(path), { mode: 0o700 }).catch((error: unknown) => {
      if (errorCode(error) !== "EEXIST") throw error;
    });
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(aside, path);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw ioError(`make the host key ${path}`, error);
  } finally {
    await unlink(aside).catch(() => undefined);
  }
}

/** A new private key in OpenSSH's format. */
export async function newKey(): Promise<string> {
  return (await newKeyPair()).private;
}

/** A new Ed25519 key, both halves in OpenSSH's format. */
export async function newKeyPair(comment = "microsandbox"): Promise<{ private: string; public: string }> {
  const { utils } = await loadLibrary();
  // The library writes a key whose public half begins with a zero byte, one in 256, without that byte, and then cannot
  // read it: https://github.com/mscdex/ssh2/issues/1513
  for (;;) {
    const pair = utils.generateKeyPairSync("ed25519", { comment });
    if (!(utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}

/**
 * Writes the file by which clients know a sandbox's server.
 *
 * @returns its path
 */
export async function writeKnownHosts(sandboxDirectory: string, alias: string): Promise<string> {
  const { publicKey } = await readHostKey(hostKeyPath(sandboxDirectory));
  const path = join(sandboxDirectory, "ssh", "known_hosts");
  await writeFileAtomically(path, `${alias} ${publicKey}\n`);
  return path;
}
