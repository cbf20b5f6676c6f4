import type { HostPattern } from "./host-pattern.ts";

/** How TLS is intercepted: the gateway is the guest's server, and the server's client. Every default is filled in. */
export interface TlsConfig {
  readonly interceptedPorts: readonly number[];
  /** Whose connections are passed on as they are. */
  readonly bypass: readonly HostPattern[];
  /** Whether servers have to prove who they are, for all that `scopedVerifyUpstream` does not speak of. */
  readonly verifyUpstream: boolean;
  readonly scopedVerifyUpstream: readonly { readonly pattern: HostPattern; readonly verify: boolean }[];
  /** PEM files of the host: authorities beside those that the host trusts. */
  readonly upstreamCaCertPaths: readonly string[];
  readonly scopedUpstreamCaCerts: readonly { readonly pattern: HostPattern; readonly path: string }[];
  /** UDP to an intercepted port is refused, so that clients fall back to TCP. */
  readonly blockQuic: boolean;
  /** An authority of the user's own, PEM files of the host; null: the one of the home directory. */
  readonly interceptCa: { readonly certPath: string; readonly keyPath: string } | null;
}
