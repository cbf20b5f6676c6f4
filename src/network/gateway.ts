import type { Duplex } from "node:stream";
import type { BoundPort } from "./flows/ports/listeners.ts";
import type { OpenFlow } from "./flows/flow-log.ts";
import { RunningGateway } from "./flows/running-gateway.ts";
import type { GatewayOptions, NetworkChange } from "./gateway-options.ts";

export type { BoundPort, GatewayOptions, NetworkChange, OpenFlow };

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
  /** Whether somebody outside is connected with the guest. */
  readonly isInUse: boolean;
  /** @returns those that are open, the newest, at most so many, oldest first */
  flows(most: number): readonly OpenFlow[];
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
    get isInUse() {
      return running.isInUse;
    },
    flows: (most) => running.flows(most),
    connect: (guestPort, signal) => running.connect(guestPort, signal),
    update: (change, inForce) => running.update(change, inForce),
    [Symbol.asyncDispose]: () => running.close(),
  };
}
