import type { IpAddress } from "../../host/ip/address.ts";
import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { Bindings } from "../policy/bindings.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "../policy/verdict.ts";
import type { Grounds } from "./flow-log.ts";
import { type HostAddresses, leadsNowhere } from "./host-addresses.ts";

/** What is so whatever the policy says. */
const never: Verdict = { action: "deny", rule: null, name: null };

/** Decides about flows: what no policy allows, and what this one does. */
export class Gatekeeper {
  readonly policy: PolicyEngine;
  readonly #bindings: Bindings;
  readonly #addresses: LinkAddresses;
  readonly #host: HostAddresses;

  constructor(policy: PolicyEngine, bindings: Bindings, addresses: LinkAddresses, host: HostAddresses) {
    this.policy = policy;
    this.#bindings = bindings;
    this.#addresses = addresses;
    this.#host = host;
  }

  /** Whether it is this end of the cable: then the host's own loopback is meant. */
  isGateway(address: IpAddress): boolean {
    const { ipv4, ipv6 } = this.#addresses;
    return (address.family === 4 ? ipv4 : ipv6)?.gateway.equals(address) === true;
  }

  /**
   * @param flow whose address has no mapping
   * @param policy another than the one that is in force
   */
  egress(flow: PolicyFlow, evidence: Evidence, policy: PolicyEngine = this.policy): Verdict {
    const { address } = flow;
    if (this.isGateway(address)) return policy.egress(flow, evidence);
    if (leadsNowhere(address)) return never;
    const verdict = policy.egress(flow, evidence);
    if (verdict.action === "deny" || !this.#host.has(address)) return verdict;
    // An address of the host is the host, by whichever name: it takes what the gateway's takes.
    const gateway = this.#addresses.ipv4?.gateway ?? this.#addresses.ipv6?.gateway;
    if (gateway === undefined) return never;
    const asHost = policy.egress({ ...flow, address: gateway }, evidence);
    return asHost.action === "allow" ? verdict : { ...asHost, action: "deny" };
  }

  ingress(flow: PolicyFlow, policy: PolicyEngine = this.policy): Verdict {
    return policy.ingress(flow);
  }

  /** What is kept of a decision for as long as the flow lives. */
  grounds(flow: PolicyFlow, verdict: Verdict, sni: string | null): Grounds {
    return { verdict, sni, names: this.#bindings.namesOf(flow.address) };
  }
}
