import { normalizeDomainName } from "../../config/network/policy/domain-name.ts";
import { Rule } from "../../config/network/policy/rules.ts";
import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { NetworkLogEvent } from "../events.ts";
import { nameRules } from "./name-rules.ts";
import { SeenTraffic } from "./seen-traffic.ts";
import { Uses } from "./uses.ts";

export interface SuggestionOptions {
  /**
   * So many names right below one parent that were used for the same become the suffix of that parent: for services whose names
   * change. Without it no name is allowed that was not seen: who owns a parent cannot be told from its names, and below
   * `blob.core.windows.net` or `github.io` is everybody. 2 at least.
   */
  readonly mergeNamesFrom?: number;
}

/**
 * The fewest rules that allow what was seen of a sandbox's network, and deny everything else that it might send.
 *
 * An address that DNS gave a name is allowed by that name, or by all of them if it has several: which one a program meant cannot be
 * told from an address. One without a name is allowed itself, and the gateway as the group `host`. A name that only TLS has said is
 * allowed beside the address, for when the name is asked for and has another one. A question by DNS needs no rule
 * when its name has one; there is a rule for all questions only if a name was asked for that exists and was not used otherwise. What
 * was denied is not allowed. What comes in is allowed as it was: by the default and the rules of the last policy in the events; of one
 * whose rules are not all there, by those that are.
 *
 * @param events of one sandbox, as `network.log` has them; the order does not matter but for the policy
 * @returns the same for the same events
 * @throws InvalidConfigError when `mergeNamesFrom` is no whole number from 2
 */
export function suggestPolicy(
  events: Iterable<NetworkLogEvent>,
  { mergeNamesFrom }: SuggestionOptions = {},
): NetworkPolicy {
  if (mergeNamesFrom !== undefined && !(Number.isInteger(mergeNamesFrom) && mergeNamesFrom >= 2))
    throw new InvalidConfigError(`mergeNamesFrom is ${mergeNamesFrom}`, {
      hint: "Use a whole number from 2.",
    });
  const seen = new SeenTraffic();
  for (const event of events) seen.add(event);
  const named = new Map<string, Uses>();
  const addressRules: Rule[] = [];
  const addUses = (name: string, uses: Uses): void => {
    const all = named.get(name) ?? new Uses();
    all.addAll(uses);
    named.set(name, all);
  };
  for (const { address, uses, names, byFlowName } of seen.addresses) {
    const plain = [...names].filter((name) => isRuleName(name));
    for (const name of plain) addUses(name, uses);
    // A name that TLS alone has said lets nothing through without one that DNS has given: the address is needed too.
    const byAddress = new Uses();
    if (plain.length === 0) byAddress.addAll(uses);
    for (const [name, usesOfName] of byFlowName) {
      if (names.has(name)) continue;
      byAddress.addAll(usesOfName);
      if (isRuleName(name)) addUses(name, usesOfName);
    }
    const destination = { kind: "cidr", cidr: `${address.toString()}/${address.bytes.length * 8}` } as const;
    for (const filter of byAddress.filters()) addressRules.push(allow(destination, filter));
  }
  const host = seen.host.filters().map((filter) => allow({ kind: "group", group: "host" }, filter));
  const asksMore = [...seen.asked].some((name) => !named.has(name));
  return {
    defaultEgress: "deny",
    // What the rules say that are not known may be to deny.
    defaultIngress: seen.isPolicyCut ? "deny" : (seen.policy?.defaultIngress ?? "allow"),
    rules: [
      ...(asksMore ? [Rule.allowDns()] : []),
      ...host,
      ...nameRules(named, mergeNamesFrom ?? null),
      ...addressRules,
      ...ingressOf(seen.policy),
    ],
  };
}

/** Whether a rule can be about a name as it was asked. */
function isRuleName(name: string): boolean {
  const normal = normalizeDomainName(name);
  return "name" in normal && normal.name === name;
}

function allow(destination: Rule["destination"], filter: Pick<Rule, "protocols" | "ports">): Rule {
  return { direction: "egress", destination, ...filter, action: "allow" };
}

function ingressOf(policy: NetworkPolicy | null): readonly Rule[] {
  return (policy?.rules ?? [])
    .filter(({ direction }) => direction !== "egress")
    .map((rule) => ({ ...rule, direction: "ingress" }));
}
