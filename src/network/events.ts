import type { DestinationGroup, NetworkPolicy, RuleProtocol } from "../config/network/policy-type.ts";

interface EventBase {
  /** When, in ms since 1970. */
  readonly timestampMs: number;
}

interface FlowBase extends EventBase {
  /** Counts from the start of the sandbox; the same in `flow-opened` and `flow-closed`. */
  readonly flow: number;
  readonly direction: "egress" | "ingress";
  readonly protocol: RuleProtocol;
  /** Outside the sandbox. */
  readonly address: string;
  /** The group of that address (`PolicyEngine.groupOf`); null: in none. */
  readonly group: DestinationGroup | null;
  /** Of the listening side; null for ICMP. */
  readonly port: number | null;
  /** The name that was evidence, or that stands for the address. */
  readonly name: string | null;
  /** Index of the rule that decided; null: the default. */
  readonly rule: number | null;
}

/** Let through. */
export interface FlowOpened extends FlowBase {
  readonly kind: "flow-opened";
}

export interface FlowClosed extends FlowBase {
  readonly kind: "flow-closed";
  /** Payload, from and to the guest. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** `policy`: not allowed any more. */
  readonly reason: "closed" | "reset" | "timeout" | "unreachable" | "refused" | "idle" | "policy" | "stopped";
}

export interface FlowDenied extends FlowBase {
  readonly kind: "flow-denied";
  /** `unsupported`: allowed, but nothing here can pass it on. */
  readonly reason: "policy" | "max-connections" | "blocked-port" | "unsupported";
  /** How many it stands for: the like of one that was told are told together, so that a flood of them fills no log. At least 1. */
  readonly count: number;
}

export interface DnsAnswered extends EventBase {
  readonly kind: "dns";
  /** As it was asked, in lower case, odd bytes as `\ddd` (RFC 1035, 5.1). */
  readonly name: string;
  /** `A`, `AAAA`, `MX`… or `TYPE65280`. */
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** The address of the resolver that the guest asked itself; null: it asked the gateway. */
  readonly resolver: string | null;
  readonly outcome: "answered" | "denied" | "limited" | "filtered" | "failed";
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`… */
  readonly rcode: string;
  /** What the guest was told. */
  readonly addresses: readonly string[];
  readonly rule: number | null;
}

/** What came to pass on a sandbox's network. */
export type NetworkEvent = FlowOpened | FlowClosed | FlowDenied | DnsAnswered;

/** Which policy the events after it were decided by: their `rule` is an index into its rules. */
export interface PolicyInForce extends EventBase {
  readonly kind: "policy";
  /** `start`: the sandbox begins to run. `rotation`: nothing has changed, but the log goes on in a new file. */
  readonly cause: "start" | "update" | "rotation";
  readonly policy: NetworkPolicy;
  /** Whether everything was allowed and only noted. */
  readonly observe: boolean;
}

/** So many events before this one could not be kept. */
export interface EventsLost extends EventBase {
  readonly kind: "lost";
  readonly count: number;
}

/** What is told of a sandbox's network, in order: what came to pass, and what has to be known to understand it. */
export type NetworkLogEvent = NetworkEvent | PolicyInForce | EventsLost;
