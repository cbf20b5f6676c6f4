import type { IpAddress } from "../../host/ip/address.ts";
import type { DestinationGroup, PolicyAction, RuleProtocol } from "../../config/network/policy-type.ts";

/** A flow as rules see it. */
export interface PolicyFlow {
  readonly protocol: RuleProtocol;
  /** Outside the sandbox: where it goes to, or who comes. */
  readonly address: IpAddress;
  /** Of the listening side; null for ICMP. */
  readonly port: number | null;
}

/**
 * How a name is known: `bindings` only, by what DNS has told this sandbox; a name that TLS says; or later, when the guest has spoken.
 *
 * `names`: those that stood for the address when the connection began, as good as those that do now.
 */
export type Evidence =
  | { readonly kind: "bindings" }
  | { readonly kind: "sni"; readonly name: string; readonly names?: readonly string[] }
  | { readonly kind: "deferred" };

/** What the policy says of a flow. `defer`: wait for what the guest says first, and ask again. */
export interface Verdict {
  readonly action: PolicyAction | "defer";
  /** The index of the rule that decided; null: the default of the direction, or what is so without rules. */
  readonly rule: number | null;
  /** The name that was evidence. */
  readonly name: string | null;
  /** Denied to every tenant, though the sandbox's own policy allows it. */
  readonly byPlatform?: true;
}

/** What a policy decides. Read anew for each decision, so that it may be replaced while the sandbox runs. */
export interface PolicyEngine {
  egress(flow: PolicyFlow, evidence: Evidence): Verdict;
  ingress(flow: PolicyFlow): Verdict;
  /** @param name in lower case; null when it is none that a rule could mean */
  query(name: string | null, transport: { readonly protocol: "tcp" | "udp"; readonly port: number }): Verdict;
  /** Whether a name may stand for an address although that is not public (rebinding). */
  isRebindException(address: IpAddress): boolean;
  /** The one group that an address is in, for what is told of a flow; null: in none (`0.0.0.0` and `::`). */
  groupOf(address: IpAddress): DestinationGroup | null;
  /** Whether any rule is about a name: then the first bytes of a flow are looked at. */
  readonly hasDomainRules: boolean;
}
