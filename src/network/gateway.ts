import type { Duplex } from "node:stream";
import type { NetworkConfig, PublishedPort } from "../config/network/network-type.ts";
import type { NetworkPolicy } from "../config/network/policy-type.ts";
import type { LinkAddresses } from "../config/network/link-addresses.ts";
import type { NetworkEvent } from "./events.ts";

export interface GatewayOptions {
  /** Our end of the guest's cable: a length of 4 bytes in network order before each Ethernet frame (`-netdev stream` of QEMU). */
  readonly link: Duplex;
  readonly addresses: LinkAddresses;
  readonly config: NetworkConfig;
  /** Called with everything that comes to pass. */
  readonly event: (event: NetworkEvent) => void;
  /** Something for the runtime log. */
  readonly warn: (message: string) => void;
}

/** A published port as it is: with the port that was chosen. */
export interface BoundPort extends PublishedPort {
  readonly hostPort: number;
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
  /** All of it, or, when it throws, nothing. Flows that are not allowed any more have ended when it resolves. */
  update(change: NetworkChange): Promise<void>;
}
