import { join } from "node:path";
import { linkOf, networkOf, withNetwork } from "../config/network/network-of.ts";
import { guestDirectory } from "../host/package-files.ts";
import type { PublishedPorts } from "../network/flows/ports/published-ports.ts";
import type { BoundPort } from "../network/gateway.ts";
import type { StartedMachine } from "../start/common/context.ts";
import { saveRecord, type SandboxRecord } from "../store/sandbox-record.ts";
import type { SandboxPaths } from "../store/sandboxes.ts";
import { NetworkLog } from "./logs/network-log.ts";
import type { RuntimeLog } from "./logs/runtime-log.ts";
import { LazyGateway } from "./services/network/lazy-gateway.ts";
import { SandboxNetwork } from "./services/network/sandbox-network.ts";

export interface NetworkToOpen {
  readonly paths: SandboxPaths;
  readonly record: SandboxRecord;
  readonly started: StartedMachine;
  /** Of {@link publishPorts}. */
  readonly ports: PublishedPorts | null;
  readonly runtimeLog: RuntimeLog;
  readonly portsChanged: (ports: readonly BoundPort[]) => Promise<void>;
}

/**
 * Listens on the ports that a sandbox offers, before there is a guest.
 *
 * @returns null when it has no network
 * @throws IoError for a port that cannot be had
 */
export async function publishPorts(
  { config }: SandboxRecord,
  runtimeLog: RuntimeLog,
): Promise<PublishedPorts | null> {
  const network = networkOf(config);
  if (network === null) return null;
  const { PublishedPorts: Ports } = await import("../network/flows/ports/published-ports.ts");
  return await Ports.bind(network.ports, (message) => {
    runtimeLog.write("warn", message);
  });
}

/** Takes the guest's cable. @returns null when it has none */
export async function openNetwork({
  paths,
  record,
  started,
  ports,
  runtimeLog,
  portsChanged,
}: NetworkToOpen): Promise<SandboxNetwork | null> {
  const config = networkOf(record.config);
  const addresses = linkOf(record.config, started.network);
  const link = started.machine.networkPort;
  if (config === null || addresses === null || link === null || ports === null) return null;
  const agentProgram = join(guestDirectory(), "agent");
  const warn = (message: string): void => {
    runtimeLog.write("warn", message);
  };
  return await SandboxNetwork.open({
    config,
    log: await NetworkLog.open(paths.networkLog),
    openGateway: (event) =>
      Promise.resolve(new LazyGateway({ link, addresses, config, ports, agentProgram, event, warn })),
    portsChanged,
    persist: (now) => saveRecord(paths.config, { ...record, config: withNetwork(record.config, now) }),
  });
}
