import { createPrivateKey, generateKeyPairSync, X509Certificate, type KeyObject } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { getuid } from "node:process";
import type { TlsConfig } from "../config/network/interception/tls-type.ts";
import { InvalidConfigError } from "../errors/index.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { withLock } from "../host/locks/lock.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import type { Home } from "../store/home.ts";
import { distinguishedName, issueAuthority, signatureOf } from "./issue.ts";
import { certificatesIn, pemOf } from "./pem.ts";

/** Who signs what the guest is shown in the place of real servers' certificates. */
export interface Authority {
  readonly certificate: X509Certificate;
  /** PEM, with a newline at its end. */
  readonly pem: string;
  readonly key: KeyObject;
}

const dayMs = 24 * 3600_000;
const validityMs = 2 * 365 * dayMs;
/** A sandbox that begins with an authority may run for as long as this. */
const renewedBeforeMs = 90 * dayMs;
/** A guest's clock may be behind. */
const backdatedMs = dayMs;

/** Where a home's authority is. */
export interface AuthorityPaths {
  readonly directory: string;
  /** The certificate alone, for whoever wants to trust it. */
  readonly certificate: string;
  /** The key and its certificate: one file, so that they belong together whenever a process ends. */
  readonly key: string;
  readonly lock: string;
}

export function authorityPaths(home: Home): AuthorityPaths {
  const directory = join(home.root, "tls");
  return {
    directory,
    certificate: join(directory, "ca.crt"),
    key: join(directory, "ca.key"),
    lock: join(directory, "lock"),
  };
}

/**
 * The authority of a home: made when there is none, and anew when it has less than 90 of its 730 days left. Several processes at once
 * get the same one.
 *
 * @param now ms since 1970
 * @throws InvalidConfigError for a key that others can read, or files that do not belong together; IoError
 */
export async function homeAuthority(home: Home, now: number = Date.now()): Promise<Authority> {
  const paths = authorityPaths(home);
  const found = await readHomeAuthority(paths);
  if (found !== null && isFresh(found, now)) return found;
  await makeDirectory(paths.directory);
  return await withLock(paths.lock, async () => {
    // Somebody else may have been first.
    const there = await readHomeAuthority(paths);
    if (there !== null && isFresh(there, now)) return there;
    return await makeAuthority(paths, now);
  });
}

/**
 * A new authority in the place of the one of a home. Sandboxes that run keep the one that they have.
 *
 * @throws IoError
 */
export async function rotateAuthority(home: Home, now: number = Date.now()): Promise<Authority> {
  const paths = authorityPaths(home);
  await makeDirectory(paths.directory);
  return await withLock(paths.lock, () => makeAuthority(paths, now));
}

/** The one that a sandbox's guest believes: the user's own, or that of the home. @throws as both do */
export async function authorityFor(tls: Pick<TlsConfig, "interceptCa">, home: Home): Promise<Authority> {
  const { interceptCa } = tls;
  return interceptCa === null
    ? await homeAuthority(home)
    : await ownAuthority(interceptCa.certPath, interceptCa.keyPath);
}

/**
 * An authority of the user's own, from two PEM files.
 *
 * @throws InvalidConfigError when one cannot be read, or they do not belong together
 */
export async function ownAuthority(
  certPath: string,
  keyPath: string,
  now: number = Date.now(),
): Promise<Authority> {
  const read = async (path: string, what: string): Promise<string> => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      throw new InvalidConfigError(`${what} ${path} cannot be read: ${errorCode(error) ?? String(error)}`, {
        cause: error,
        hint: "Give the paths of two PEM files of this host.",
      });
    }
  };
  const authority = parseAuthority(
    await read(certPath, "the authority's certificate"),
    await read(keyPath, "the authority's key"),
    [certPath, keyPath],
  );
  if (!authority.certificate.ca)
    throw new InvalidConfigError(`${certPath} is not the certificate of an authority`, {
      hint: "Its basic constraints have to say CA:TRUE.",
    });
  if (authority.certificate.validToDate.getTime() <= now)
    throw new InvalidConfigError(`the authority ${certPath} has ended`, { hint: "Make a new one." });
  return authority;
}

async function makeAuthority(paths: AuthorityPaths, now: number): Promise<Authority> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = distinguishedName({ commonName: "microsandbox CA", organization: "microsandbox" });
  const validity = { notBefore: new Date(now - backdatedMs), notAfter: new Date(now + validityMs) };
  const pem = pemOf(issueAuthority(name, privateKey, validity));
  const keyPem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  await writeFileAtomically(paths.key, `${keyPem}${pem}`);
  await writeFileAtomically(paths.certificate, pem);
  return { certificate: new X509Certificate(pem), pem, key: privateKey };
}

/** @returns null when there is none */
async function readHomeAuthority(paths: AuthorityPaths): Promise<Authority | null> {
  let text: string;
  try {
    const found = await lstat(paths.key);
    if (found.uid !== getuid?.() || (found.mode & 0o077) !== 0)
      throw new InvalidConfigError(`${paths.key} can be read by others, so the authority proves nothing`, {
        hint: 'Make a new one with "msb tls rotate". If nobody had the chance to read it: chmod 600.',
      });
    text = await readFile(paths.key, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error instanceof InvalidConfigError ? error : ioError(`read ${paths.key}`, error);
  }
  const authority = parseAuthority(text, text, [paths.key, paths.key]);
  const published = await readFile(paths.certificate, "utf8").catch(() => null);
  // Its maker was killed between the two.
  if (published !== authority.pem) await writeFileAtomically(paths.certificate, authority.pem);
  return authority;
}

function parseAuthority(certText: string, keyText: string, [certPath, keyPath]: [string, string]): Authority {
  const bad = (path: string, what: string, cause?: unknown): InvalidConfigError =>
    new InvalidConfigError(`${path} ${what}`, {
      cause,
      hint: 'An authority is an X.509 certificate and its private key, both in PEM. "msb tls rotate" makes a new one for the home directory.',
    });
  const [pem] = certificatesIn(certText);
  if (pem === undefined) throw bad(certPath, "has no certificate");
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    throw bad(certPath, "has a certificate that cannot be read", error);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(keyText);
  } catch (error) {
    throw bad(keyPath, "has no private key that can be read without a passphrase", error);
  }
  if (!certificate.checkPrivateKey(key))
    throw bad(keyPath, `is not the key of the certificate in ${certPath}`);
  signatureOf(key);
  return { certificate, pem: `${pem}\n`, key };
}

function isFresh({ certificate }: Authority, now: number): boolean {
  return certificate.validToDate.getTime() - now >= renewedBeforeMs;
}
