import type { NetworkPolicy, Rule } from "../../config/network/policy-type.ts";
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

/** A name that a rule can have. */
const plainName = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * The fewest rules that allow what was seen of a sandbox's network, and deny everything else that it might send.
 *
 * An address that DNS gave a name is allowed by that name, or by all of them if it has several: which one a program meant cannot be
 * told from an address. One without a name is allowed itself, and the gateway as the group `host`. A question by DNS needs no rule
 * when its name has one; there is a rule for all questions only if a name was asked for that exists and was not used otherwise. What
 * was denied is not allowed. What comes in is allowed as it was: by the default and the rules of the last policy in the events.
 *
 * @param events of one sandbox, as `network.log` has them; the order does not matter but for the policy
 * @returns the same for the same events
 */
export function suggestPolicy(
  events: Iterable<NetworkLogEvent>,
  { mergeNamesFrom }: SuggestionOptions = {},
): NetworkPolicy {
  const seen = new SeenTraffic();
  for (const event of events) seen.add(event);
  const named = new Map<string, Uses>();
  const addressRules: Rule[] = [];
  for (const { address, uses, names } of seen.addresses) {
    const plain = [...names].filter((name) => plainName.test(name));
    for (const name of plain) {
      const all = named.get(name) ?? new Uses();
      all.addAll(uses);
      named.set(name, all);
    }
    if (plain.length > 0) continue;
    const destination = { kind: "cidr", cidr: `${address.toString()}/${address.bytes.length * 8}` } as const;
    for (const filter of uses.filters()) addressRules.push(allow(destination, filter));
  }
  const host = seen.host.filters().map((filter) => allow({ kind: "group", group: "host" }, filter));
  const asksMore = [...seen.asked].some((name) => !named.has(name));
  return {
    defaultEgress: "deny",
    defaultIngress: seen.policy?.defaultIngress ?? "allow",
    rules: [
      ...(asksMore ? [dnsRule] : []),
      ...host,
      ...nameRules(named, mergeNamesFrom ?? null),
      ...addressRules,
      ...ingressOf(seen.policy),
    ],
  };
}

/** The resolver of the gateway. */
const dnsRule: Rule = {
  direction: "egress",
  destination: { kind: "group", group: "host" },
  protocols: ["udp", "tcp"],
  ports: [{ start: 53, end: 53 }],
  action: "allow",
};

function allow(destination: Rule["destination"], filter: Pick<Rule, "protocols" | "ports">): Rule {
  return { direction: "egress", destination, ...filter, action: "allow" };
}

function ingressOf(policy: NetworkPolicy | null): readonly Rule[] {
  return (policy?.rules ?? [])
    .filter(({ direction }) => direction !== "egress")
    .map((rule) => ({ ...rule, direction: "ingress" }));
}
