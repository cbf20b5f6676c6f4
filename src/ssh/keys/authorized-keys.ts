import type { ParsedKey } from "ssh2";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { getuid } from "node:process";
import { InvalidConfigError, IoError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { withLock } from "../../host/locks/lock.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { loadLibrary } from "../load-library.ts";

/** The kinds of keys that are taken. */
const kinds = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
/** Bytes; a longer file is none that somebody has written. */
const mostBytes = 1024 * 1024;
/** Of RSA; OpenSSH takes no shorter ones. */
const fewestRsaBytes = 128;

/** The keys that open all sandboxes of a home. */
export function authorizedKeysPath(home: string): string {
  return join(home, "ssh", "authorized_keys");
}

/**
 * Reads the keys of a file in the form of sshd(8), "AUTHORIZED_KEYS FILE FORMAT". A line that is no key, or has options, which are not
 * obeyed here, opens nothing.
 *
 * @returns an empty list when there is no file
 * @throws IoError for one that others can change, or that cannot be read
 */
export async function readAuthorizedKeys(path: string): Promise<readonly ParsedKey[]> {
  const lines = linesOf(await readChecked(path));
  if (lines.length === 0) return [];
  const { utils } = await loadLibrary();
  const keys = lines.map((line) => usable(line, utils));
  return keys.filter((key) => typeof key !== "string");
}

async function readChecked(path: string): Promise<string> {
  try {
    const { uid, mode, size } = await stat(path);
    if (!(uid === getuid?.() || uid === 0) || (mode & 0o022) !== 0) {
      throw new IoError(`${path} says who may come in, and can be changed by others`, {
        hint: `Look what is in it, then: chmod go-w ${path}`,
      });
    }
    if (size > mostBytes) throw new IoError(`${path} has ${size} bytes, more than a list of keys has`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return "";
    throw ioError(`read ${path}`, error);
  }
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

type Utils = Awaited<ReturnType<typeof loadLibrary>>["utils"];

/** A line's key, or what is wrong with it. */
function usable(line: string, utils: Utils): ParsedKey | string {
  if (line.startsWith("-----BEGIN")) return "is a private key, or a part of one";
  const kind = line.split(/\s/, 1)[0] ?? "";
  if (!kinds.includes(kind)) {
    if (/^(sk-|.*-cert-v)/.test(kind)) return `is a key of the kind ${kind}, which is not supported`;
    const follows = kinds.some((known) => line.includes(` ${known} `));
    return follows ? "has options before the key, which are not supported" : "is no public key";
  }
  const key = utils.parseKey(line);
  if (key instanceof Error) return `is no public key: ${key.message}`;
  if (key.isPrivateKey()) return "is a private key";
  if (kind === "ssh-rsa" && key.getPublicSSH().length < fewestRsaBytes)
    return "is an RSA key of less than 1024 bits";
  return key;
}

/**
 * Adds public keys to those that open all sandboxes of a home. Those that are there already stay as they are.
 *
 * @param text one or more lines such as `~/.ssh/id_ed25519.pub` has
 * @returns how many were added
 * @throws InvalidConfigError when a line is no key that can be used; nothing is added then. IoError
 */
export async function authorizeKeys(path: string, text: string): Promise<number> {
  const { utils } = await loadLibrary();
  const wanted = linesOf(text).map((line) => [line, usable(line, utils)] as const);
  for (const [index, [, key]] of wanted.entries()) {
    if (typeof key !== "string") continue;
    throw new InvalidConfigError(`line ${index + 1} of what is to be authorized ${key}`, {
      hint: "Give a public key: the contents of a file such as ~/.ssh/id_ed25519.pub",
    });
  }
  if (wanted.length === 0) {
    throw new InvalidConfigError("there is no key to be authorized", {
      hint: "Give a public key: the contents of a file such as ~/.ssh/id_ed25519.pub",
    });
  }
  await makeDirectory(dirname(path));
  return await withLock(`${path}.lock`, async () => {
    const before = await readChecked(path);
    const known = new Set(linesOf(before).map((line) => blobOf(usable(line, utils))));
    const added: string[] = [];
    for (const [line, key] of wanted) {
      const blob = blobOf(key);
      if (blob === null || known.has(blob)) continue;
      known.add(blob);
      added.push(line);
    }
    const end = before === "" || before.endsWith("\n") ? "" : "\n";
    if (added.length > 0) await writeFileAtomically(path, `${before}${end}${added.join("\n")}\n`);
    return added.length;
  });
}

function blobOf(key: ParsedKey | string): string | null {
  return typeof key === "string" ? null : key.getPublicSSH().toString("base64");
}
