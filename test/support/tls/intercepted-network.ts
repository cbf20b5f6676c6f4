import { type KeyObject, generateKeyPairSync, X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { distinguishedName, issueAuthority } from "../../../src/certificates/issue.ts";
import { Leaves } from "../../../src/certificates/leaves.ts";
import { pemOf } from "../../../src/certificates/pem.ts";
import type { TlsConfig } from "../../../src/config/network/interception/tls-type.ts";
import { matchesHost } from "../../../src/config/network/interception/host-pattern.ts";
import type { NetworkConfig } from "../../../src/config/network/network-type.ts";
import { Slabs } from "../../../src/network/flows/slabs.ts";
import { ConnectionStream } from "../../../src/network/flows/tcp/connection-stream.ts";
import type { Interception } from "../../../src/network/interception/interception.ts";
import type { TcpHandler } from "../../../src/network/tcp/connection.ts";
import { addresses, type GuestPeer, testNetwork, type TestNetwork } from "../network/guest-peer.ts";

const nobody: TlsConfig = {
  interceptedPorts: [443],
  bypass: [],
  verifyUpstream: true,
  scopedVerifyUpstream: [],
  upstreamCaCertPaths: [],
  scopedUpstreamCaCerts: [],
  blockQuic: true,
  interceptCa: null,
};

/** What the guest trusts in the place of everybody else. */
export interface GuestAuthority {
  readonly pem: string;
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

export function guestAuthority(): GuestAuthority {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = distinguishedName({ commonName: "microsandbox CA", organization: "microsandbox" });
  const now = Date.now();
  const validity = { notBefore: new Date(now - 86_400_000), notAfter: new Date(now + 86_400_000) };
  const pem = pemOf(issueAuthority(name, privateKey, validity));
  return { pem, certificate: new X509Certificate(pem), key: privateKey };
}

export interface InterceptedOptions {
  readonly authority: GuestAuthority;
  /** PEM of the root that the host trusts. */
  readonly hostRoot: string;
  readonly tls?: Partial<TlsConfig> | null;
  readonly over?: Partial<Interception>;
}

/** What a supervisor would make of a configuration. */
export function interceptionOf({
  authority,
  hostRoot,
  tls = {},
  over = {},
}: InterceptedOptions): Interception {
  const config = tls === null ? null : { ...nobody, ...tls };
  const secureContext = createSecureContext({ ca: hostRoot, minVersion: "TLSv1.2" });
  return {
    tls: config,
    leaves: new Leaves(authority.certificate, authority.key),
    trust: {
      optionsFor: (name) => ({
        secureContext,
        verify:
          config?.scopedVerifyUpstream.find(({ pattern }) => matchesHost(pattern, name))?.verify ??
          config?.verifyUpstream ??
          true,
      }),
    },
    secrets: [],
    secretViolation: { kind: "block-and-log" },
    values: { value: () => null, refused: () => undefined },
    http: null,
    hooks: null,
    terminate: () => undefined,
    ...over,
  };
}

/** A gateway that intercepts, and a guest at its cable. */
export async function interceptedNetwork(
  options: InterceptedOptions,
  config: Partial<NetworkConfig> = {},
): Promise<TestNetwork> {
  return await testNetwork(config, {}, interceptionOf(options));
}

/** A connection of the guest as a stream. */
export function guestSocket(guest: GuestPeer, port: number, family: 4 | 6 = 4): Duplex {
  const own = family === 4 ? addresses.ipv4 : addresses.ipv6;
  if (own === null) throw new TypeError("both families are there");
  const relayed: { to: TcpHandler | null } = { to: null };
  const handler = new Proxy({} as TcpHandler, {
    get: (_, method: keyof TcpHandler) => relayed.to?.[method],
  });
  const stream = new ConnectionStream(new Slabs());
  stream.connection = guest.tcp.connect({ address: own.guest, port: 0 }, port, handler);
  relayed.to = stream.handler;
  return stream;
}

/** A program in the guest that speaks TLS. */
export function guestTls(guest: GuestPeer, port: number, options: ConnectionOptions): TLSSocket {
  return connectTls({ socket: guestSocket(guest, port), ...options });
}
