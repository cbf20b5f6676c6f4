import { generateKeyPairSync, type KeyObject, type X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { InvalidConfigError } from "../errors/index.ts";
import { issueLeaf, issuerOf, type Issuer } from "./issue.ts";
import { pemOf } from "./pem.ts";

const validityMs = 24 * 3600_000;
/** A guest's clock may be a little behind. */
const backdatedMs = 2_000;
/** A connection that begins with a leaf should not see it end. */
const renewedBeforeMs = 5 * 60_000;
const mostKept = 1_000;

interface Kept {
  readonly context: SecureContext;
  readonly notAfterMs: number;
}

/** Certificates for servers that the guest asks for, made when they are asked for, and kept while they last. */
export class Leaves {
  readonly #issuer: Issuer;
  /** One for all: it proves nothing to anybody who does not trust the authority, and lives as long as this process. */
  readonly #key: { readonly publicKey: KeyObject; readonly pem: string };
  /** The one that was used last is last. */
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;

  /** @param now ms since 1970 */
  constructor(certificate: X509Certificate, key: KeyObject, now: () => number = Date.now) {
    this.#issuer = issuerOf(certificate, key);
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = { publicKey, pem: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
    this.#now = now;
  }

  /**
   * What a TLS server says that it is this host.
   *
   * @param host as SNI has it
   * @throws InvalidConfigError when no server can have this name; other names are not affected
   */
  contextFor(host: string): SecureContext {
    const name = host.toLowerCase();
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    const usable =
      kept !== undefined && kept.notAfterMs - this.#now() >= renewedBeforeMs ? kept : this.#make(name);
    this.#kept.set(name, usable);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest);
    return usable.context;
  }

  #make(name: string): Kept {
    if (!isServerName(name))
      throw new InvalidConfigError(`no server can have the name ${JSON.stringify(name.slice(0, 80))}`, {
        hint: "A server's name has labels of letters, digits, - and _, with dots between them.",
      });
    const nowMs = this.#now();
    const notAfterMs = nowMs + validityMs;
    const validity = { notBefore: new Date(nowMs - backdatedMs), notAfter: new Date(notAfterMs) };
    const certificate = issueLeaf(this.#issuer, name, this.#key.publicKey, validity);
    const context = createSecureContext({
      cert: pemOf(certificate),
      key: this.#key.pem,
      minVersion: "TLSv1.2",
    });
    return { context, notAfterMs };
  }
}

/** No address, and nothing that a certificate could not say of a host (RFC 5280, 4.2.1.6; RFC 1123, 2.1; `_` is in use). */
export function isServerName(name: string): boolean {
  return (
    name.length <= 253 &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(name) &&
    // The last label of a name is no number (RFC 3696, 2): what ends in one is an IPv4 address to somebody.
    !/(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)$/.test(name)
  );
}
