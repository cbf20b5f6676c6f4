import type { NetworkPolicy } from "../../src/config/network/policy-type.ts";
import { IpAddress } from "../../src/host/ip/address.ts";
import type { NetworkLogEvent } from "../../src/network/events.ts";
import { createPolicyEngine } from "../../src/network/policy/create-engine.ts";
import { DnsBindings } from "../../src/network/policy/dns-bindings.ts";
import type { PolicyEngine } from "../../src/network/policy/verdict.ts";

export const gateway = "172.16.0.1";

/** A policy, with the names bound that DNS has answered in these events. */
export function engineOfEvents(policy: NetworkPolicy, events: Iterable<NetworkLogEvent>): PolicyEngine {
  const bindings = new DnsBindings();
  for (const event of events) {
    if (event.kind !== "dns") continue;
    const addresses = event.addresses
      .map((text) => IpAddress.parse(text))
      .filter((address) => address !== null);
    bindings.bind(event.name, addresses, 3600);
  }
  const gateways = [gateway].map((text) => IpAddress.parse(text)).filter((address) => address !== null);
  return createPolicyEngine({ policy, bindings, gateways, deploymentProfile: "single-tenant" });
}
