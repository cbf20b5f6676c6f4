import { readFile } from "node:fs/promises";
import * as tls from "node:tls";
import { X509Certificate } from "node:crypto";
import { matchesHost, mostSpecific } from "../config/network/interception/host-pattern.ts";
import type { TlsConfig } from "../config/network/interception/tls-type.ts";
import { certificatesIn } from "./pem.ts";

export interface UpstreamTrustOptions {
  readonly config: Pick<
    TlsConfig,
    "verifyUpstream" | "scopedVerifyUpstream" | "upstreamCaCertPaths" | "scopedUpstreamCaCerts"
  >;
  /** A file that cannot be used is told of, once; the others are trusted all the same. */
  readonly warn: (message: string) => void;
}

/** Which authorities the host believes when it speaks to a server in the guest's place. */
export class HostTrust {
  readonly #options: UpstreamTrustOptions;
  /** PEM of a file's certificates, by its path. */
  readonly #files = new Map<string, Promise<readonly string[]>>();
  /** By the files whose authorities they add. Making one reads all of the host's. */
  readonly #contexts = new Map<string, Promise<tls.SecureContext>>();

  constructor(options: UpstreamTrustOptions) {
    this.#options = options;
  }

  /** @param name of the server, in lower case */
  async optionsFor(
    name: string,
  ): Promise<{ readonly secureContext: tls.SecureContext; readonly verify: boolean }> {
    const { verifyUpstream, scopedVerifyUpstream, upstreamCaCertPaths, scopedUpstreamCaCerts } =
      this.#options.config;
    const scoped = scopedUpstreamCaCerts.filter(({ pattern }) => matchesHost(pattern, name));
    const paths = [...new Set([...upstreamCaCertPaths, ...scoped.map(({ path }) => path)])].sort();
    const verify = mostSpecific(scopedVerifyUpstream, name)?.verify ?? verifyUpstream;
    return { secureContext: await this.#contextOf(paths), verify };
  }

  #contextOf(paths: readonly string[]): Promise<tls.SecureContext> {
    const key = JSON.stringify(paths);
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const made = this.#makeContext(paths);
    this.#contexts.set(key, made);
    return made;
  }

  async #makeContext(paths: readonly string[]): Promise<tls.SecureContext> {
    const more = await Promise.all(paths.map((path) => this.#read(path)));
    return tls.createSecureContext({ ca: [...hostRoots(), ...more.flat()], minVersion: "TLSv1.2" });
  }

  #read(path: string): Promise<readonly string[]> {
    let reading = this.#files.get(path);
    if (reading === undefined) {
      reading = this.#certificatesOf(path);
      this.#files.set(path, reading);
    }
    return reading;
  }

  async #certificatesOf(path: string): Promise<readonly string[]> {
    try {
      const certificates = certificatesIn(await readFile(path, "utf8"));
      if (certificates.length === 0) throw new Error("it has no certificate in PEM");
      for (const pem of certificates) new X509Certificate(pem);
      return certificates;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.warn(`the authorities of ${path} are not trusted: ${reason}`);
      return [];
    }
  }
}

/**
 * The authorities that this host trusts: those of its system, or the ones that come with Node.js where the system has none; and those of
 * `NODE_EXTRA_CA_CERTS`. PEM, each once.
 */
export function hostRoots(): readonly string[] {
  const system = tls.getCACertificates("system");
  const base = system.length > 0 ? system : tls.getCACertificates("bundled");
  // Node writes the PEM itself, so that the same certificate is the same text; a system has many in several files.
  return [...new Set([...base, ...tls.getCACertificates("extra")])].map((pem) => `${pem.trimEnd()}\n`);
}
