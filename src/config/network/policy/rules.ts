import { InvalidConfigError } from "../../../errors/index.ts";
import type {
  Destination as DestinationValue,
  DestinationGroup,
  PolicyAction as Action,
  PortRange as PortRangeValue,
  Rule as RuleValue,
  RuleDirection,
  RuleProtocol,
} from "../policy-type.ts";

export const PolicyActions = ["allow", "deny"] as const satisfies readonly Action[];
export const RuleDirections = ["egress", "ingress", "any"] as const satisfies readonly RuleDirection[];
export const RuleProtocols = ["tcp", "udp", "icmpv4", "icmpv6"] as const satisfies readonly RuleProtocol[];

/** Kinds of addresses; what each one has is in docs/network.md. */
export const DestinationGroups = [
  "public",
  "private",
  "loopback",
  "link-local",
  "metadata",
  "multicast",
  "host",
] as const satisfies readonly DestinationGroup[];

/** What is done with a flow. */
export type PolicyAction = Action;
export const PolicyAction = { Allow: "allow", Deny: "deny" } as const satisfies Record<string, Action>;

/** Who begins a flow, as the rules of a configuration object have it. */
export type PolicyDirection = "outbound" | "inbound";
export const PolicyDirection = {
  Outbound: "outbound",
  Inbound: "inbound",
} as const satisfies Record<string, PolicyDirection>;

export type PolicyProtocol = RuleProtocol;
export const PolicyProtocol = {
  Tcp: "tcp",
  Udp: "udp",
  Icmpv4: "icmpv4",
  Icmpv6: "icmpv6",
} as const satisfies Record<string, PolicyProtocol>;

export type Destination = DestinationValue;
/**
 * Makes what a rule is about. The policy that has it is checked when it is used.
 *
 * @example
 * ```ts
 * import { Destination, Rule } from "microsandbox";
 *
 * const rule = Rule.denyEgress(Destination.cidr("10.0.0.0/8"));
 * console.log(rule.action, rule.destination.kind, Destination.group("host")); // deny cidr { kind: 'group', group: 'host' }
 * ```
 */
export const Destination = {
  /** Every address. */
  any: (): Destination => ({ kind: "any" }),
  /** @param cidr `10.0.0.0/8`, `2001:db8::/32` */
  cidr: (cidr: string): Destination => ({ kind: "cidr", cidr }),
  /** A name, and nothing below it. */
  domain: (domain: string): Destination => ({ kind: "domain", domain }),
  /** The name and all below it. */
  domainSuffix: (suffix: string): Destination => ({ kind: "domainSuffix", suffix }),
  /** A kind of addresses, one of {@link DestinationGroups}. */
  group: (group: DestinationGroup): Destination => ({ kind: "group", group }),
};

export type PortRange = PortRangeValue;
/**
 * Makes the ports of a rule.
 *
 * @example
 * ```ts
 * import { Destination, PortRange, Rule } from "microsandbox";
 *
 * const web = Rule.allowEgress(Destination.domain("example.com"));
 * const rule = { ...web, protocols: ["tcp" as const], ports: [PortRange.single(443), PortRange.range(8000, 8999)] };
 * console.log(rule.ports); // [ { start: 443, end: 443 }, { start: 8000, end: 8999 } ]
 * ```
 */
export const PortRange = {
  /** One port. */
  single: (port: number): PortRange => ({ start: port, end: port }),
  /** Both ends are in it. */
  range: (start: number, end: number): PortRange => ({ start, end }),
};

export type Rule = RuleValue;

function ruleFor(direction: RuleDirection, action: Action): (destination: Destination) => Rule {
  return (destination) => ({ direction, destination, protocols: [], ports: [], action });
}

function dnsRule(action: Action): Rule {
  return {
    direction: "egress",
    destination: Destination.group("host"),
    protocols: ["udp", "tcp"],
    ports: [PortRange.single(53)],
    action,
  };
}

/**
 * Makes rules for every protocol and port. A {@link NetworkPolicyBuilder} makes narrower ones.
 *
 * @example
 * ```ts
 * import { Destination, NetworkPolicy, Rule } from "microsandbox";
 *
 * const { defaultEgress, rules } = NetworkPolicy.publicOnly();
 * const policy = { ...NetworkPolicy.none(), rules: [Rule.denyEgress(Destination.domain("ads.example.com")), ...rules] };
 * console.log(defaultEgress, policy.rules.length); // deny 3
 * ```
 */
export const Rule = {
  /** What the sandbox begins. */
  allowEgress: ruleFor("egress", "allow"),
  /** What the sandbox begins. */
  denyEgress: ruleFor("egress", "deny"),
  /** What comes to its published ports. */
  allowIngress: ruleFor("ingress", "allow"),
  /** What comes to its published ports. */
  denyIngress: ruleFor("ingress", "deny"),
  /** Both. */
  allowAny: ruleFor("any", "allow"),
  /** Both. */
  denyAny: ruleFor("any", "deny"),
  /** Names can be asked of the gateway. */
  allowDns: (): Rule => dnsRule("allow"),
  /** No name can be asked of the gateway, but those that an earlier rule allows. */
  denyDns: (): Rule => dnsRule("deny"),
};

/** @throws InvalidConfigError */
export function unknownGroup(text: unknown): InvalidConfigError {
  return new InvalidConfigError(`unknown destination group ${JSON.stringify(text)}`, {
    hint: `Use one of: ${DestinationGroups.join(", ")}.`,
  });
}
