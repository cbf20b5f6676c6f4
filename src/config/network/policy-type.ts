/** What is done with a flow. */
export type PolicyAction = "allow" | "deny";
export type RuleDirection = "egress" | "ingress" | "any";
export type RuleProtocol = "tcp" | "udp" | "icmpv4" | "icmpv6";
export type DestinationGroup =
  "public" | "private" | "loopback" | "link-local" | "metadata" | "multicast" | "host";

/** Whom a rule is about. `cidr` as `10.0.0.0/8`; names without a dot at the end, in lower case. */
export type Destination =
  | { readonly kind: "any" }
  | { readonly kind: "cidr"; readonly cidr: string }
  | { readonly kind: "domain"; readonly domain: string }
  | { readonly kind: "domainSuffix"; readonly suffix: string }
  | { readonly kind: "group"; readonly group: DestinationGroup };

/** Both ends are in it; 0 to 65535. */
export interface PortRange {
  readonly start: number;
  readonly end: number;
}

/** Empty `protocols` or `ports`: all of them. */
export interface Rule {
  readonly direction: RuleDirection;
  readonly destination: Destination;
  readonly protocols: readonly RuleProtocol[];
  readonly ports: readonly PortRange[];
  readonly action: PolicyAction;
}

/** The first rule that matches decides; without one the default of the direction. */
export interface NetworkPolicy {
  readonly defaultEgress: PolicyAction;
  readonly defaultIngress: PolicyAction;
  readonly rules: readonly Rule[];
}
