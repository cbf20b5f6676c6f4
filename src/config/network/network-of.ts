import type { Family } from "../../host/ip/address.ts";
import type { DeploymentProfile } from "../enums.ts";
import { linkAddresses, type LinkAddresses } from "./link-addresses.ts";
import type { NetworkConfig, OutboundProxy, PublishedPort } from "./network-type.ts";

/** How a network is stored: what other settings say is theirs. */
export type StoredNetwork = Omit<NetworkConfig, "ports" | "proxy" | "deploymentProfile">;

/** The settings of a sandbox's record that are about its network. */
export interface NetworkParts {
  readonly disableNetwork: boolean;
  /** null: none. */
  readonly network: StoredNetwork | null;
  readonly ports: readonly PublishedPort[];
  readonly proxy: OutboundProxy | null;
  readonly deploymentProfile: DeploymentProfile;
}

/** Whether a sandbox has a network card. */
export function hasNetwork({ disableNetwork, network }: NetworkParts): boolean {
  return !disableNetwork && network !== null;
}

/** A sandbox's network, all of it; null when it has none. */
export function networkOf(config: NetworkParts): NetworkConfig | null {
  const { disableNetwork, network, ports, proxy, deploymentProfile } = config;
  return disableNetwork || network === null ? null : { ...network, ports, proxy, deploymentProfile };
}

/** The settings with another network: the reverse of {@link networkOf}. */
export function withNetwork<Config extends NetworkParts>(config: Config, network: NetworkConfig): Config {
  const { ports, proxy, deploymentProfile, ...own } = network;
  return { ...config, disableNetwork: false, network: own, ports, proxy, deploymentProfile };
}

/**
 * Where both ends of a sandbox's cable are; null when it has none.
 *
 * @param prepared null: it was found to have none
 */
export function linkOf(
  config: NetworkParts,
  prepared: { readonly families: readonly Family[] } | null,
): LinkAddresses | null {
  const network = networkOf(config);
  return network === null || prepared === null ? null : linkAddresses(network.interface, prepared.families);
}
