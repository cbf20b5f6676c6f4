import type { Destination, NetworkPolicy, PortRange, Rule } from "../policy-type.ts";

/**
 * A rule as text that {@link parseRuleTokens} reads. A rule with several protocols or port ranges takes as many; one that can match
 * nothing (a port of ICMP) takes none. `Rule.allowDns()` is `allow@dns`.
 */
export function ruleTokens(rule: Rule): string[] {
  const { action, destination, ports } = rule;
  const protocols = rule.protocols.length === 0 ? ["any"] : rule.protocols;
  if (isDns(rule)) {
    const both = protocols.length === 2;
    return [both ? `${action}@dns` : `${action}@dns:${protocols[0] ?? ""}`];
  }
  return protocols.flatMap((protocol) => {
    const isIcmp = protocol.startsWith("icmp");
    if (isIcmp && (ports.length > 0 || rule.direction === "ingress")) return [];
    // Nothing comes to a sandbox by ICMP: "any" direction of it is egress.
    const direction = rule.direction === "egress" || isIcmp ? "" : `:${rule.direction}`;
    const head = `${action}${direction}@${targetText(destination)}`;
    if (ports.length === 0) return [protocol === "any" ? head : `${head}:${protocol}`];
    return ports.map((range) => `${head}:${protocol}:${rangeText(range)}`);
  });
}

/** All rules of a policy, in their order. */
export function policyTokens(policy: NetworkPolicy): string[] {
  return policy.rules.flatMap(ruleTokens);
}

function isDns({ direction, destination, protocols, ports }: Rule): boolean {
  const [range] = ports;
  const isPort = ports.length === 1 && range?.start === 53 && range.end === 53;
  const isTransport = protocols.length > 0 && protocols.every((p) => p === "udp" || p === "tcp");
  return (
    direction === "egress" &&
    destination.kind === "group" &&
    destination.group === "host" &&
    isPort &&
    isTransport
  );
}

export function targetText(destination: Destination): string {
  switch (destination.kind) {
    case "any":
      return "any";
    case "group":
      return destination.group;
    case "domain":
      return isPlainName(destination.domain) ? destination.domain : `domain=${destination.domain}`;
    case "domainSuffix":
      return `suffix=${destination.suffix}`;
    case "cidr": {
      const text = destination.cidr.replace(/^([\d.]+)\/32$|^([^.]+)\/128$/, "$1$2");
      return text.includes(":") ? `[${text}]` : text;
    }
  }
}

/** What is not taken for a group or an address. */
function isPlainName(name: string): boolean {
  return name.includes(".") && !/^[\d.]+$/.test(name);
}

function rangeText({ start, end }: PortRange): string {
  return start === end ? String(start) : `${start}-${end}`;
}
