import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkOf } from "../../config/network/network-of.ts";
import type { NetworkConfig } from "../../config/network/network-type.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { TrustedByGuest } from "../../guest-setup/boot-messages.ts";
import type { Family } from "../../host/ip/address.ts";
import type { Home } from "../../store/home.ts";
import type { PreparedNetwork } from "../contract/handover.ts";

/** Somewhere outside, in either family: what is asked is only which way would lead there. */
const outside: Readonly<Record<Family, string>> = { 4: "1.1.1.1", 6: "2606:4700:4700::1111" };

/**
 * What has to be known for a sandbox's network; null when it has none.
 *
 * @throws InvalidConfigError, IoError when the authority that its guest is to believe cannot be had
 */
export async function prepareNetwork(config: StoredConfig, home: Home): Promise<PreparedNetwork | null> {
  const network = networkOf(config);
  if (network === null) return null;
  const [families, trust] = await Promise.all([routedFamilies(), trustOf(network, home)]);
  return { families, trust };
}

async function trustOf(
  { tls, trustHostCAs }: Pick<NetworkConfig, "tls" | "trustHostCAs">,
  home: Home,
): Promise<TrustedByGuest | null> {
  if (tls === null && !trustHostCAs) return null;
  const [{ authorityFor }, { hostRoots }] = await Promise.all([
    import("../../certificates/authority.ts"),
    import("../../certificates/upstream-trust.ts"),
  ]);
  return {
    authority: tls === null ? null : (await authorityFor(tls, home)).pem,
    hostRoots: trustHostCAs ? hostRoots() : [],
  };
}

/** The families that this host has a way out for. Connects UDP sockets, which sends nothing. */
export async function routedFamilies(): Promise<Family[]> {
  const found = await Promise.all(
    ([4, 6] as const).map(async (family) => ((await isRouted(family)) ? family : null)),
  );
  return found.filter((family) => family !== null);
}

async function isRouted(family: Family): Promise<boolean> {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  try {
    const connected = once(socket, "connect");
    socket.connect(53, outside[family]);
    await connected;
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
