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
/** Makes what a rule is about. The policy that has it is checked when it is used. */
export const Destination = {
  any: (): Destination => ({ kind: "any" }),
  /** @param cidr `10.0.0.0/8`, `2001:db8::/32` */
  cidr: (cidr: string): Destination => ({ kind: "cidr", cidr }),
  domain: (domain: string): Destination => ({ kind: "domain", domain }),
  /** The name and all below it. */
  domainSuffix: (suffix: string): Destination => ({ kind: "domainSuffix", suffix }),
  group: (group: DestinationGroup): Destination => ({ kind: "group", group }),
};

export type PortRange = PortRangeValue;
export const PortRange = {
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

/** Makes rules for every protocol and port. A {@link NetworkPolicyBuilder} makes narrower ones. */
export const Rule = {
  allowEgress: ruleFor("egress", "allow"),
  denyEgress: ruleFor("egress", "deny"),
  allowIngress: ruleFor("ingress", "allow"),
  denyIngress: ruleFor("ingress", "deny"),
  allowAny: ruleFor("any", "allow"),
  denyAny: ruleFor("any", "deny"),
  /** Names can be asked of the gateway. */
  allowDns: (): Rule => dnsRule("allow"),
  denyDns: (): Rule => dnsRule("deny"),
};

/** @throws InvalidConfigError */
export function unknownGroup(text: unknown): InvalidConfigError {
  return new InvalidConfigError(`unknown destination group ${JSON.stringify(text)}`, {
    hint: `Use one of: ${DestinationGroups.join(", ")}.`,
  });
}
