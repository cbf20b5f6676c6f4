import type { DnsConfig, InterfaceConfig } from "./network-type.ts";

/** Of all that a network may be told, what holds where nothing is said. */
export const defaultDns: DnsConfig = {
  nameservers: [],
  rebindProtection: true,
  queryTimeoutMs: 5000,
  maxQueriesPerMinute: null,
  maxNameLength: null,
};

export const largestMtu = 65_520;
/** Of a link with IPv6: RFC 8200, 5. */
export const smallestMtu = 1280;

export const defaultInterface: InterfaceConfig = {
  mac: null,
  // As large as QEMU's device allows: each frame costs the same whatever is in it.
  mtu: largestMtu,
  ipv4Address: null,
  ipv6Address: null,
  ipv4Pool: "172.16.0.0/12",
  ipv6Pool: "fd42:6d73:62::/48",
};

export const defaultMaxConnections = 256;
export const hardMaxConnections = 4096;

export const mostQueriesPerMinute = 1_000_000;
/** Bytes of a name as text: RFC 1035, 2.3.4, without what is only in messages. */
export const longestName = 253;
