import { NetworkPolicyBuilder } from "../../src/config/network/policy/policy-builder.ts";
import { policyOfObject, type PolicyRuleInput } from "../../src/config/network/policy/policy-object.ts";
import type { RuleBuilder } from "../../src/config/network/policy/rule-builder.ts";
import type { Destination, NetworkPolicy, Rule } from "../../src/config/network/policy-type.ts";
import { policy } from "./policy-sample.ts";

/** A policy that was made in one of the ways that users have. */
export interface MadePolicy {
  readonly policy: NetworkPolicy;
  /** Which rule of the short form each of its rules comes from. */
  readonly from: readonly number[];
}

/** The ways to a policy of the short form of `policy()`: as it is stored, by the builder, and by the configuration object. */
export const policyWays: Readonly<Record<string, (text: string) => MadePolicy>> = {
  "as it is stored": (text) => {
    const made = policy(text);
    return { policy: made, from: [...made.rules.keys()] };
  },
  "by the builder": (text) => {
    const { defaultEgress, defaultIngress, rules } = policy(text);
    const builder = new NetworkPolicyBuilder().defaultEgress(defaultEgress).defaultIngress(defaultIngress);
    for (const rule of rules) builder.rule((made) => said(made, rule));
    return { policy: builder.build(), from: [...rules.keys()] };
  },
  "by the object": (text) => {
    const { defaultEgress, defaultIngress, rules } = policy(text);
    const each = rules.flatMap((rule, index) => plain(rule).map((input) => [input, index] as const));
    const input = { defaultEgress, defaultIngress, rules: each.map(([rule]) => rule) };
    const made = policyOfObject("network", input);
    if (made === null) throw new TypeError(`${text} says nothing`);
    return { policy: made, from: each.map(([, index]) => index) };
  },
};

function said(builder: RuleBuilder, { direction, destination, protocols, ports, action }: Rule): RuleBuilder {
  builder[direction]();
  for (const protocol of protocols) builder[protocol]();
  for (const { start, end } of ports) builder.portRange(start, end);
  return builder[action]((chosen) => {
    switch (destination.kind) {
      case "any":
        return chosen.any();
      case "cidr":
        return chosen.cidr(destination.cidr);
      case "domain":
        return chosen.domain(destination.domain);
      case "domainSuffix":
        return chosen.domainSuffix(destination.suffix);
      case "group":
        return chosen.group(destination.group);
    }
  });
}

const words = { egress: "outbound", ingress: "inbound", any: "any" } as const;

/** A rule of an object has one protocol and one range of ports at most. */
function plain({ direction, destination, protocols, ports, action }: Rule): readonly PolicyRuleInput[] {
  const base = { action, direction: words[direction], destination: wordFor(destination) };
  const byProtocol: readonly PolicyRuleInput[] =
    protocols.length === 0 ? [base] : protocols.map((protocol) => ({ ...base, protocol }));
  if (ports.length === 0) return byProtocol;
  return byProtocol.flatMap((rule) =>
    ports.map(({ start, end }) => ({ ...rule, port: start === end ? String(start) : `${start}-${end}` })),
  );
}

function wordFor(destination: Destination): string {
  switch (destination.kind) {
    case "any":
      return "*";
    case "cidr":
      return destination.cidr;
    case "domain":
      return destination.domain;
    case "domainSuffix":
      return `.${destination.suffix}`;
    case "group":
      return destination.group;
  }
}
