import type { Duplex } from "node:stream";
import type { NetworkConfig, PublishedPort } from "../config/network/network-type.ts";
import type { NetworkPolicy } from "../config/network/policy-type.ts";
import type { LinkAddresses } from "../config/network/link-addresses.ts";
import type { NetworkEvent } from "./events.ts";
import type { BoundPort } from "./flows/ports/listeners.ts";
import type { PublishedPorts } from "./flows/ports/published-ports.ts";
import { RunningGateway } from "./flows/running-gateway.ts";

export type { BoundPort };

export interface GatewayOptions {
  /** Our end of the guest's cable: a length of 4 bytes in network order before each Ethernet frame (`-netdev stream` of QEMU). */
  readonly link: Duplex;
  readonly addresses: LinkAddresses;
  readonly config: NetworkConfig;
  /** Those of `config`, listened on before there is a guest ({@link PublishedPorts.bind}); closed with the gateway. */
  readonly ports: PublishedPorts;
  /** The agent's program, as it runs on this host: it pings in the host's name. Without one nobody outside can be pinged. */
  readonly agentProgram?: string | null;
  /** Called with everything that comes to pass. */
  readonly event: (event: NetworkEvent) => void;
  /** Something for the runtime log. */
  readonly warn: (message: string) => void;
}

/** What changes on a running sandbox; what is left out stays. */
export interface NetworkChange {
  readonly policy?: NetworkPolicy;
  readonly observe?: boolean;
  readonly publish?: readonly PublishedPort[];
  /** By host port and protocol. */
  readonly unpublish?: readonly Pick<PublishedPort, "hostBind" | "hostPort" | "protocol">[];
  readonly maxConnections?: number;
  readonly rateLimiter?: NetworkConfig["rateLimiter"];
}

/** Totals since the start, as the guest's interface counts: rx is what the guest was given, tx what it sent; bytes of Ethernet frames. */
export interface NetworkCounters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxFrames: number;
  readonly txFrames: number;
  readonly flowsOpened: number;
  readonly flowsDenied: number;
  readonly dnsQueries: number;
  readonly dnsDenied: number;
  readonly activeFlows: number;
}

/** The other end of the guest's only cable: its router and resolver. */
export interface Gateway extends AsyncDisposable {
  readonly counters: NetworkCounters;
  readonly ports: readonly BoundPort[];
  /**
   * Connects to a port of the guest, from the gateway's address.
   *
   * @throws RuntimeError when the guest refuses it or does not answer; aborted with the signal
   */
  connect(guestPort: number, signal: AbortSignal): Promise<Duplex>;
  /**
   * All of it, or, when it throws, nothing. Flows that are not allowed any more have ended when it resolves.
   *
   * @param inForce called between the last event that the old policy has decided about and the first one of the new
   */
  update(change: NetworkChange, inForce?: () => void): Promise<void>;
}

/**
 * Takes the guest's cable. It is at the other end from now on: frames of the guest are answered when this resolves.
 *
 * @throws InvalidConfigError when the policy or a nameserver cannot be read
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const running = new RunningGateway(options);
  running.start();
  return {
    get counters() {
      return running.counters;
    },
    get ports() {
      return options.ports.list;
    },
    connect: (guestPort, signal) => running.connect(guestPort, signal),
    update: (change, inForce) => running.update(change, inForce),
    [Symbol.asyncDispose]: () => running.close(),
  };
}
