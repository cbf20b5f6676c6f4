import { InvalidConfigError } from "../../errors/index.ts";
import type { DeploymentProfile } from "../enums.ts";
import { defaultInterface, defaultMaxConnections } from "./network-defaults.ts";
import type { NetworkSettings } from "./network-settings.ts";
import type { OutboundProxy, PublishedPort } from "./network-type.ts";
import { checkPolicySize } from "./policy/check-policy.ts";

interface Parts {
  readonly disableNetwork: boolean;
  readonly network: NetworkSettings | null;
  readonly ports: readonly PublishedPort[];
  readonly proxy: OutboundProxy | null;
  readonly deploymentProfile: DeploymentProfile | null;
}

/** @throws InvalidConfigError for settings of a network that contradict each other */
export function checkNetwork({ disableNetwork, network, ports, proxy, deploymentProfile }: Parts): void {
  if (disableNetwork && ports.length > 0) {
    throw new InvalidConfigError("ports are published, and the network is disabled", {
      hint: "Leave one of them out. To keep the guest from reaching anything and publish ports, use a policy that denies egress.",
    });
  }
  if (disableNetwork && proxy !== null) {
    throw new InvalidConfigError("there is an outbound proxy, and the network is disabled", {
      hint: "Leave one of them out.",
    });
  }
  if (disableNetwork && network !== null && (network.secrets.length > 0 || network.http !== null)) {
    throw new InvalidConfigError(
      `there are ${network.secrets.length > 0 ? "secrets" : "rules about requests"}, and the network is disabled`,
      { hint: "Leave one of them out." },
    );
  }
  if (network?.policy) checkPolicySize(network.policy);
  if (deploymentProfile === "multi-tenant") checkTenant(network, ports, proxy);
}

/**
 * What is not for tenants who do not trust each other: it would reach the host, or take from the others. `null`s and the defaults of a
 * network that was filled in say nothing.
 *
 * @throws InvalidConfigError
 */
function checkTenant(
  network: NetworkSettings | null,
  ports: readonly PublishedPort[],
  proxy: OutboundProxy | null,
): void {
  const refusals: readonly (readonly [isSaid: boolean, what: string])[] = [
    [ports.length > 0, "published ports"],
    [proxy !== null, "an outbound proxy"],
    [(network?.dns?.nameservers.length ?? 0) > 0, "nameservers of its own"],
    [network?.dns?.rebindProtection === false, "rebinding protection turned off"],
    [hasOverrides(network), "overrides of its interface or address pools"],
    [network?.observe === true, "observe(), which allows everything"],
    [network?.trustHostCAs === true, "the host's authorities"],
    [
      (network?.maxConnections ?? 0) > defaultMaxConnections,
      `more than ${defaultMaxConnections} connections`,
    ],
  ];
  const found = refusals.find(([isSaid]) => isSaid);
  if (found === undefined) return;
  throw new InvalidConfigError(`a multi-tenant sandbox cannot have ${found[1]}`, {
    hint: "Leave it out, or use the deployment profile single-tenant.",
  });
}

function hasOverrides(network: NetworkSettings | null): boolean {
  return Object.entries(network?.interface ?? {}).some(
    ([key, value]) => value !== null && value !== defaultInterface[key as keyof typeof defaultInterface],
  );
}
