/**
 * A gateway and its log in a process of its own, for short-connections.test.ts. The guest's cable is descriptor 3; told anything, it
 * answers with a {@link GatewayUse}.
 *
 *     node gateway-main.ts NETWORK_LOG
 */
import { readdir } from "node:fs/promises";
import { Socket } from "node:net";
import { PublishedPorts } from "../../../src/network/flows/ports/published-ports.ts";
import { openGateway } from "../../../src/network/gateway.ts";
import { NetworkLog } from "../../../src/supervisor/logs/network-log.ts";
import { addresses, allowAll, networkConfig } from "./guest-peer.ts";

export interface GatewayUse {
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly activeFlows: number;
  readonly flowsOpened: number;
}

const log = await NetworkLog.open(process.argv[2] ?? "");
log.policy("start", allowAll, false);
const warn = (message: string): void => console.error(message);
const gateway = await openGateway({
  link: new Socket({ fd: 3, readable: true, writable: true }),
  addresses,
  config: networkConfig(),
  ports: await PublishedPorts.bind([], warn),
  event: log.event,
  warn,
});

async function use(): Promise<GatewayUse> {
  const { activeFlows, flowsOpened } = gateway.counters;
  const descriptors = (await readdir("/dev/fd")).length;
  return { residentBytes: process.memoryUsage().rss, descriptors, activeFlows, flowsOpened };
}

process.on("message", () => void use().then((told) => process.send?.(told)));
process.send?.("ready");
