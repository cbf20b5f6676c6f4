import type { Family } from "../../host/ip/address.ts";
import type { StoredConfig } from "../sandbox/stored-config.ts";
import { linkAddresses, type LinkAddresses } from "./link-addresses.ts";
import type { InterfaceConfig, NetworkConfig } from "./network-type.ts";

export const defaultInterface: InterfaceConfig = {
  mac: null,
  mtu: 65520,
  ipv4Address: null,
  ipv6Address: null,
  ipv4Pool: "172.16.0.0/12",
  ipv6Pool: "fd42:6d73:62::/48",
};

/** Whether a sandbox has a network card. */
export function hasNetwork(config: StoredConfig): boolean {
  return !config.disableNetwork;
}

/** A sandbox's network; null when it has none. */
export function networkOf(config: StoredConfig): NetworkConfig | null {
  if (!hasNetwork(config)) return null;
  return {
    policy: {
      defaultEgress: "deny",
      defaultIngress: "allow",
      rules: [
        {
          direction: "egress",
          destination: { kind: "group", group: "host" },
          protocols: ["udp", "tcp"],
          ports: [{ start: 53, end: 53 }],
          action: "allow",
        },
        {
          direction: "egress",
          destination: { kind: "group", group: "public" },
          protocols: [],
          ports: [],
          action: "allow",
        },
      ],
    },
    observe: false,
    ports: [],
    dns: {
      nameservers: [],
      rebindProtection: true,
      queryTimeoutMs: 5000,
      maxQueriesPerMinute: null,
      maxNameLength: null,
    },
    interface: defaultInterface,
    maxConnections: 256,
    rateLimiter: null,
    proxy: null,
    deploymentProfile: "single-tenant",
  };
}

/**
 * Where both ends of a sandbox's cable are; null when it has none.
 *
 * @param prepared null: it was found to have none
 */
export function linkOf(
  config: StoredConfig,
  prepared: { readonly families: readonly Family[] } | null,
): LinkAddresses | null {
  const network = networkOf(config);
  return network === null || prepared === null ? null : linkAddresses(network.interface, prepared.families);
}
