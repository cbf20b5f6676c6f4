import type { InterceptionConfig } from "./interception/interception-settings.ts";
import type { NetworkPolicy } from "./policy-type.ts";

/** A port of the guest that the host offers. */
export interface PublishedPort {
  /** An IP address of the host. */
  readonly hostBind: string;
  /** 0: one that is free. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: "tcp" | "udp";
  /** TCP only: the guest's server is told the peer's address by a PROXY protocol header of version 2 before the first byte. */
  readonly proxyProtocol: boolean;
}

export interface DnsConfig {
  /** `IP`, `IP:PORT`, `[v6]:PORT`, `HOST` or `HOST:PORT`; empty: the host's own. */
  readonly nameservers: readonly string[];
  readonly rebindProtection: boolean;
  /** Of one attempt at one server. */
  readonly queryTimeoutMs: number;
  /** Bounds what may leave by names, for each parent domain; null: no limit. */
  readonly maxQueriesPerMinute: number | null;
  /** Longest name that is asked, bytes of its text; null: no limit but the protocol's, 253. */
  readonly maxNameLength: number | null;
}

export interface InterfaceConfig {
  /** Six hexadecimal octets, `02:6d:73:00:00:02`; null: 02:6d:73:00:00:02, as in every sandbox. */
  readonly mac: string | null;
  /** Bytes of an IP packet, 1280 to 65520. */
  readonly mtu: number;
  readonly ipv4Address: string | null;
  readonly ipv6Address: string | null;
  readonly ipv4Pool: string;
  readonly ipv6Pool: string;
}

/** Sizes are bytes for `bandwidth`, frames for `ops`. */
export interface TokenBucketConfig {
  readonly size: number;
  readonly refillTimeMs: number;
  readonly oneTimeBurst: number;
}

export interface RateLimiterConfig {
  readonly bandwidth: TokenBucketConfig | null;
  readonly ops: TokenBucketConfig | null;
}

export interface NetworkRateLimiterConfig {
  /** What the guest sends. */
  readonly egress: RateLimiterConfig | null;
  readonly ingress: RateLimiterConfig | null;
}

/** Every outgoing TCP connection that the policy allows goes through it. */
export type OutboundProxy =
  | { readonly kind: "socks4"; readonly address: string; readonly userId: string | null }
  | {
      readonly kind: "socks5" | "http";
      /** `HOST:PORT`. */
      readonly address: string;
      readonly username: string | null;
      /** The variable of the host's environment that has the password. */
      readonly passwordEnv: string | null;
    };

/** Everything about a sandbox's network, with every default filled in. A sandbox without one has `disableNetwork`. */
export interface NetworkConfig extends InterceptionConfig {
  readonly policy: NetworkPolicy;
  /** Everything is allowed and noted, to suggest a policy from: the policy decides about nothing. */
  readonly observe: boolean;
  readonly ports: readonly PublishedPort[];
  readonly dns: DnsConfig;
  readonly interface: InterfaceConfig;
  readonly maxConnections: number;
  readonly rateLimiter: NetworkRateLimiterConfig | null;
  readonly proxy: OutboundProxy | null;
  readonly deploymentProfile: "single-tenant" | "multi-tenant";
}
