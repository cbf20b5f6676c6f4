import type { DestinationGroup, Rule } from "../../config/network/policy-type.ts";
import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { hostAlias } from "../dns/pipeline.ts";
import type { Bindings } from "../policy/bindings.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "../policy/verdict.ts";
import type { Grounds } from "./flow-log.ts";
import { type HostAddresses, leadsNowhere } from "./host-addresses.ts";

/** What is so whatever the policy says. */
const never: Verdict = { action: "deny", rule: null, name: null };

/** A policy that is ready to decide. */
export interface Policies {
  /** Everything is allowed by it while the network is only observed. */
  readonly inForce: PolicyEngine;
  /** As it was set. */
  readonly configured: PolicyEngine;
  /** Of the one in force: what verdicts count. */
  readonly rules: readonly Rule[];
  /** All of them stand under a platform's policy, which allows what is outside. */
  readonly isMultiTenant: boolean;
}

export interface GatekeeperOptions {
  readonly policies: Policies;
  /** Those that the policies were made with. */
  readonly bindings: Bindings;
  readonly addresses: LinkAddresses;
  readonly host: HostAddresses;
  /** What is allowed because of a name has to be read to prove that name: nothing but TCP can be. */
  readonly isStrict?: boolean;
}

/** Decides about flows: what no policy allows, and what this one does. The policy may be replaced at any time. */
export class Gatekeeper implements PolicyEngine {
  policies: Policies;
  readonly #bindings: Bindings;
  readonly #addresses: LinkAddresses;
  readonly #host: HostAddresses;
  readonly #isStrict: boolean;

  constructor({ policies, bindings, addresses, host, isStrict = false }: GatekeeperOptions) {
    this.policies = policies;
    this.#bindings = bindings;
    this.#addresses = addresses;
    this.#host = host;
    this.#isStrict = isStrict;
  }

  get hasDomainRules(): boolean {
    return this.policies.inForce.hasDomainRules;
  }

  /** Whether everything is allowed, and only noted. */
  get isObserving(): boolean {
    return this.policies.inForce !== this.policies.configured;
  }

  /** Names that stand for an address now; that of the host itself always stands for the gateway's. */
  namesOf(address: IpAddress): readonly string[] {
    const names = this.#bindings.namesOf(address);
    return this.isGateway(address) ? [hostAlias, ...names] : names;
  }

  /** Whether it is this end of the cable: then the host's own loopback is meant. */
  isGateway(address: IpAddress): boolean {
    const { ipv4, ipv6 } = this.#addresses;
    return (address.family === 4 ? ipv4 : ipv6)?.gateway.equals(address) === true;
  }

  egress(flow: PolicyFlow, evidence: Evidence): Verdict {
    const verdict = this.#egress(flow, evidence);
    const isUnproved = this.#isStrict && flow.protocol !== "tcp" && verdict.name !== null;
    return isUnproved && verdict.action === "allow" ? { ...verdict, action: "deny" } : verdict;
  }

  #egress(flow: PolicyFlow, evidence: Evidence): Verdict {
    const policy = this.policies.inForce;
    const address = flow.address.unmapped();
    if (this.isGateway(address)) return policy.egress(flow, evidence);
    if (leadsNowhere(address)) return never;
    const verdict = policy.egress(flow, evidence);
    if (verdict.action === "deny" || !this.#host.has(address)) return verdict;
    // An address of the host's own is the host, whatever group or range it is in: it takes what the gateway's takes, too.
    const gateway = this.#addresses.ipv4?.gateway ?? this.#addresses.ipv6?.gateway;
    if (gateway === undefined) return never;
    const asHost = policy.egress({ ...flow, address: gateway }, evidence);
    if (asHost.action === "allow" || this.#isMeant(verdict, asHost)) return verdict;
    // A rule about a name may still decide on it.
    return asHost;
  }

  ingress(flow: PolicyFlow): Verdict {
    return this.policies.inForce.ingress(flow);
  }

  query(
    name: string | null,
    transport: { readonly protocol: "tcp" | "udp"; readonly port: number },
  ): Verdict {
    return this.policies.inForce.query(name, transport);
  }

  /** Nobody observes for the sake of names that lead inside. */
  isRebindException(address: IpAddress): boolean {
    return this.policies.configured.isRebindException(address);
  }

  groupOf(address: IpAddress): DestinationGroup | null {
    return this.policies.configured.groupOf(address);
  }

  /** Whether a rule allows this one address, and none before it denies the host. */
  #isMeant({ rule: allowed }: Verdict, { rule: denied }: Verdict): boolean {
    const { rules, isMultiTenant } = this.policies;
    if (allowed === null || isMultiTenant || (denied !== null && denied < allowed)) return false;
    const destination = rules[allowed]?.destination;
    return destination?.kind === "cidr" && Cidr.parse(destination.cidr)?.isOneAddress === true;
  }

  /** What is kept of a decision for as long as the flow lives. */
  grounds(flow: PolicyFlow, verdict: Verdict, sni: string | null): Grounds {
    return { verdict, sni, names: this.#bindings.namesOf(flow.address) };
  }
}
