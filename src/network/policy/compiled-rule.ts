import type {
  Destination,
  DestinationGroup,
  PolicyAction,
  PortRange,
  Rule,
  RuleProtocol,
} from "../../config/network/policy-type.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { NameSet, type RuleName } from "./name-set.ts";
import { RangeMatcher } from "./range-matcher.ts";
import type { Verdict } from "./verdict.ts";

export type Target =
  | { readonly kind: "any" }
  | { readonly kind: "group"; readonly group: DestinationGroup }
  | { readonly kind: "cidr"; readonly range: RangeMatcher }
  | { readonly kind: "names"; readonly names: NameSet };

/** A rule, or several that follow each other and differ only in the name that they are about, made ready to be asked often. */
export interface CompiledRule {
  /** {@link protocolBits}, or-ed. */
  readonly protocols: number;
  readonly ports: readonly PortRange[];
  readonly target: Target;
  readonly action: PolicyAction;
  /** What it says when no name is evidence. */
  readonly verdict: Verdict;
}

export const protocolBits: Readonly<Record<RuleProtocol, number>> = { tcp: 1, udp: 2, icmpv4: 4, icmpv6: 8 };
const everyProtocol = 15;

/**
 * Makes the rules of one direction ready.
 *
 * @param rules all of the policy: verdicts tell their index in it
 * @throws InvalidConfigError when a rule's range is none
 */
export function compileRules(
  rules: readonly Rule[],
  direction: "egress" | "ingress",
): readonly CompiledRule[] {
  const runs: { readonly rule: Rule; readonly index: number; readonly names: RuleName[] }[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rule.direction !== direction && rule.direction !== "any") continue;
    const name = nameOf(rule.destination, index);
    const last = runs.at(-1);
    if (name !== null && last !== undefined && last.names.length > 0 && differInNameOnly(last.rule, rule))
      last.names.push(name);
    else runs.push({ rule, index, names: name === null ? [] : [name] });
  }
  return runs.map(({ rule, index, names }) => ({
    protocols: protocolsOf(rule),
    ports: rule.ports,
    target: targetOf(rule.destination, names, index),
    action: rule.action,
    verdict: { action: rule.action, rule: index, name: null },
  }));
}

/** Whether a rule's protocols and ports leave a flow to it. ICMP has no port, so a rule with ports is about no ICMP. */
export function accepts(rule: CompiledRule, protocol: number, port: number | null): boolean {
  if ((rule.protocols & protocol) === 0) return false;
  const { ports } = rule;
  if (ports.length === 0) return true;
  if (port === null) return false;
  for (const range of ports) if (port >= range.start && port <= range.end) return true;
  return false;
}

function protocolsOf({ protocols }: Rule): number {
  if (protocols.length === 0) return everyProtocol;
  return protocols.reduce((bits, protocol) => bits | protocolBits[protocol], 0);
}

function nameOf(destination: Destination, rule: number): RuleName | null {
  switch (destination.kind) {
    case "domain":
      return { rule, name: plainName(destination.domain), isSuffix: false };
    case "domainSuffix":
      return { rule, name: plainName(destination.suffix), isSuffix: true };
    case "any":
    case "group":
    case "cidr":
      return null;
  }
}

/** What is stored is like this already; a name that is not would never match. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/^\.+|\.+$/g, "");
}

function differInNameOnly(one: Rule, other: Rule): boolean {
  return (
    one.action === other.action &&
    protocolsOf(one) === protocolsOf(other) &&
    one.ports.length === other.ports.length &&
    one.ports.every(
      ({ start, end }, index) => start === other.ports[index]?.start && end === other.ports[index].end,
    )
  );
}

function targetOf(destination: Destination, names: readonly RuleName[], index: number): Target {
  switch (destination.kind) {
    case "any":
      return { kind: "any" };
    case "group":
      return { kind: "group", group: destination.group };
    case "cidr":
      return { kind: "cidr", range: new RangeMatcher(rangeOf(destination.cidr, index)) };
    case "domain":
    case "domainSuffix":
      return { kind: "names", names: new NameSet(names) };
  }
}

function rangeOf(text: string, index: number): Cidr {
  const cidr = Cidr.parse(text);
  if (cidr === null)
    throw new InvalidConfigError(`rule #${index}: invalid CIDR \`${text}\``, {
      hint: "write an address and the number of its leading bits that count, as 10.0.0.0/8 or fd00::/8",
    });
  return cidr;
}
