import { resolve } from "node:path";
import { InvalidConfigError } from "../../../../errors/index.ts";
import { checkFlag, checkList, checkWhole } from "../../../checks.ts";
import { checkPath } from "../../../guest-text.ts";
import { joinTls, plainTls, tlsSettingsOf, type AskedTls, type TlsSettings } from "../tls-settings.ts";
import { checkNameOrSuffix } from "./check-host.ts";

/**
 * How TLS is intercepted: the gateway is the server for the guest, with certificates of an authority that the guest believes, and the
 * client for the server. Setters throw InvalidConfigError.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("tls-example")
 *   .image("localhost/base")
 *   .network((n) => n.tls((t) => t.interceptedPorts([443, 8443]).bypass("*.bank.example")))
 *   .build();
 * console.log(network?.tls?.interceptedPorts, network?.tls?.bypass); // [ 443, 8443 ] [ '*.bank.example' ]
 * ```
 */
export class TlsBuilder {
  #asked: AskedTls = plainTls;

  /** Passes connections to a name, or to `*.example.com` and all below it, on as they are: nothing is read or put in there. */
  bypass(pattern: string): this {
    return this.#add({ bypass: [checkNameOrSuffix("bypass", pattern)] });
  }

  /** Whether servers have to prove who they are; by default they have to. */
  verifyUpstream(verify: boolean): this {
    return this.#add({ verifyUpstream: checkFlag("verifyUpstream", verify) });
  }

  /** The same for some servers; of several patterns that match the one that says most of the name decides. */
  verifyUpstreamFor(pattern: string, verify: boolean): this {
    const scoped = {
      pattern: checkNameOrSuffix("verifyUpstreamFor", pattern),
      verify: checkFlag("verifyUpstreamFor", verify),
    };
    return this.#add({ scopedVerifyUpstream: [scoped] });
  }

  /** TCP ports whose connections are read; by default 443. */
  interceptedPorts(ports: Iterable<number>): this {
    const list = checkList("interceptedPorts", ports).map((port) =>
      checkWhole("a port of interceptedPorts", port as number, 1, 65_535),
    );
    if (list.length === 0) {
      throw new InvalidConfigError("interceptedPorts is empty: nothing would be read", {
        hint: "Leave it out for port 443.",
      });
    }
    return this.#add({ interceptedPorts: [...new Set(list)] });
  }

  /** Whether UDP to these ports is refused, so that clients fall back to TCP; by default it is. What QUIC carries is not read. */
  blockQuic(block: boolean): this {
    return this.#add({ blockQuic: checkFlag("blockQuic", block) });
  }

  /** A PEM file of this host with authorities that servers may have their certificates from, beside those that the host believes. */
  upstreamCaCert(path: string): this {
    return this.#add({ upstreamCaCertPaths: [checkFile("upstreamCaCert", path)] });
  }

  /** The same for some servers. */
  upstreamCaCertFor(pattern: string, path: string): this {
    const scoped = {
      pattern: checkNameOrSuffix("upstreamCaCertFor", pattern),
      path: checkFile("upstreamCaCertFor", path),
    };
    return this.#add({ scopedUpstreamCaCerts: [scoped] });
  }

  /** The certificate of an authority of your own, a PEM file of this host; by default the one of the home directory. */
  interceptCaCert(path: string): this {
    return this.#add({ interceptCaCertPath: checkFile("interceptCaCert", path) });
  }

  /** Its key, a PEM file of this host. */
  interceptCaKey(path: string): this {
    return this.#add({ interceptCaKeyPath: checkFile("interceptCaKey", path) });
  }

  /** What was said so far. @throws InvalidConfigError for half an authority */
  build(): TlsSettings {
    return tlsSettingsOf(this.#asked);
  }

  /** The same for {@link joinTls}. */
  asked(): AskedTls {
    return this.#asked;
  }

  #add(part: Partial<AskedTls>): this {
    this.#asked = joinTls(this.#asked, { ...plainTls, ...part }) ?? plainTls;
    return this;
  }
}

/** The supervisor has another working directory. */
export function checkFile(what: string, path: unknown): string {
  return resolve(checkPath(what, path));
}
