import type { DeploymentProfile } from "../enums.ts";
import { checkNetwork } from "./check-network.ts";
import { checkGiven } from "./interception/builders/check-given.ts";
import { noNetwork, settingsOf, type AskedNetwork, type NetworkSettings } from "./network-settings.ts";
import type { OutboundProxy, PublishedPort } from "./network-type.ts";
import { checkDistinctPorts, isSamePort, portPairs, portsBesides } from "./ports.ts";

/** What was said with each of the settings that are about a network. */
export interface NetworkValues {
  readonly network: AskedNetwork | null;
  readonly ports: readonly PublishedPort[];
  readonly proxy: OutboundProxy | null;
  readonly deploymentProfile: DeploymentProfile | null;
  readonly disableNetwork: boolean;
}

interface FinishedNetwork {
  readonly network: NetworkSettings | null;
  readonly ports: readonly PublishedPort[];
  readonly portsTcp: readonly (readonly [host: number, guest: number])[];
  readonly portsUdp: readonly (readonly [host: number, guest: number])[];
  readonly proxy: OutboundProxy | null;
  readonly disableNetwork: boolean;
}

/**
 * Puts together what several settings say: ports and the proxy may be said in `network` too, and whoever says that there is no network
 * has none, whatever else was said.
 *
 * @throws InvalidConfigError when they contradict each other
 */
export function finishedNetwork(values: NetworkValues): FinishedNetwork {
  const asked = values.network;
  const more = portsBesides(values.ports, asked?.ports ?? [], isSamePort);
  const ports = checkDistinctPorts([...values.ports, ...more]);
  const proxy = values.proxy ?? asked?.outboundProxy ?? null;
  const disableNetwork = values.disableNetwork || asked?.enabled === false;
  const settings =
    asked === null ? null : { ...settingsOf(asked), enabled: true, ports, outboundProxy: proxy };
  if (asked !== null) checkGiven(asked);
  checkNetwork({
    disableNetwork,
    network: settings,
    ports,
    proxy,
    deploymentProfile: values.deploymentProfile,
  });
  return {
    network: disableNetwork ? noNetwork : settings,
    ports,
    portsTcp: portPairs(ports, "tcp"),
    portsUdp: portPairs(ports, "udp"),
    proxy,
    disableNetwork,
  };
}
