import * as v from "valibot";
import type { PublishedPort } from "../../config/network/network-type.ts";
import type { NetworkPolicy, RuleProtocol } from "../../config/network/policy-type.ts";
import { policySchema } from "../../config/network/policy/stored-policy.ts";
import { ProtocolError } from "../../errors/index.ts";
import type { NetworkStatusMessage } from "../../protocol/generated/messages.ts";

/** Totals since the sandbox's start. `rx` is what the guest's network interface was given, `tx` what it sent; bytes of Ethernet frames. */
export interface NetworkTotals {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxFrames: number;
  readonly txFrames: number;
  /** Connections and the like that were let through. */
  readonly flowsOpened: number;
  readonly flowsDenied: number;
  readonly dnsQueries: number;
  readonly dnsDenied: number;
  /** Now. */
  readonly activeFlows: number;
}

/** A connection or the like that is open. */
export interface OpenFlow {
  /** As in the events about it. */
  readonly flow: number;
  readonly openedAt: Date;
  /** `egress`: the guest began it. */
  readonly direction: "egress" | "ingress";
  readonly protocol: RuleProtocol;
  /** Outside of the sandbox. */
  readonly address: string;
  /** Of the side that listens; null for ICMP. */
  readonly port: number | null;
  /** The name that was evidence, or that stands for the address. */
  readonly name: string | null;
  /** Index of the rule that let it through; null: the default did. */
  readonly rule: number | null;
}

/** What a running sandbox's network is now. */
export interface SandboxNetworkStatus {
  /** With the ports that were chosen. */
  readonly ports: readonly PublishedPort[];
  readonly counters: NetworkTotals;
  /** That decides now. */
  readonly policy: NetworkPolicy;
  /** Whether everything is allowed and only noted. */
  readonly observe: boolean;
  readonly maxConnections: number;
  /** The newest 1,000; `counters.activeFlows` says how many there are. */
  readonly flows: readonly OpenFlow[];
}

/** @throws ProtocolError */
export function statusFrom(message: NetworkStatusMessage): SandboxNetworkStatus {
  const { ports, counters, observe, maxConnections } = message;
  const flows = message.flows.map(({ openedMs, ...flow }) => ({ ...flow, openedAt: new Date(openedMs) }));
  return { ports, counters, policy: policyFrom(message.policy), observe, maxConnections, flows };
}

function policyFrom(json: string): NetworkPolicy {
  try {
    return v.parse(policySchema, JSON.parse(json));
  } catch (error) {
    throw new ProtocolError("the supervisor sent a policy that is none", { cause: error });
  }
}
