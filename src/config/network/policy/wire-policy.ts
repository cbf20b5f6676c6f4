import { InvalidConfigError } from "../../../errors/index.ts";
import { checkList, checkOneOf, shown } from "../../checks.ts";
import { refuseUnknownKeys } from "../../keys/unknown-keys.ts";
import type { NetworkPolicy, Rule } from "../policy-type.ts";
import { checkPolicy, readRule } from "./check-policy.ts";
import { PolicyActions } from "./rules.ts";

/** A policy as JSON of other programs has it, with keys in snake case. A default that is missing is deny. */
export interface WirePolicy {
  readonly default_egress?: string;
  readonly default_ingress?: string;
  readonly rules?: readonly WireRule[];
}

export interface WireRule {
  readonly direction: string;
  readonly destination: WireDestination;
  readonly protocols?: readonly string[];
  readonly ports?: readonly { readonly start: number; readonly end: number }[];
  readonly action: string;
}

export type WireDestination =
  | "any"
  | { readonly cidr: string }
  | { readonly domain: string }
  | { readonly domain_suffix: string }
  | { readonly group: string };

/**
 * Reads such a policy, as text or as what is in it.
 *
 * @throws InvalidConfigError
 */
export function policyFromWire(input: string | object): NetworkPolicy {
  const wire = typeof input === "string" ? parse(input) : input;
  refuseUnknownKeys("policy", wire, ["default_egress", "default_ingress", "rules"]);
  const { default_egress, default_ingress, rules } = wire as WirePolicy;
  const action = (name: string, value: string | undefined): "allow" | "deny" =>
    checkOneOf(`policy.${name}`, value ?? "deny", PolicyActions);
  const policy = {
    defaultEgress: action("default_egress", default_egress),
    defaultIngress: action("default_ingress", default_ingress),
    rules: checkList("policy.rules", rules ?? []).map((rule, index) =>
      ruleOf(`policy.rules[${index}]`, rule),
    ),
  };
  // What other programs have written may have rules that never match.
  return checkPolicy("policy", policy, readRule);
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new InvalidConfigError("the policy is no JSON", { cause, hint: "Give an object as JSON text." });
  }
}

function ruleOf(path: string, input: unknown): object {
  refuseUnknownKeys(path, input, ["direction", "destination", "protocols", "ports", "action"]);
  return { ...input, destination: destinationOf(`${path}.destination`, Reflect.get(input, "destination")) };
}

function destinationOf(path: string, input: unknown): object {
  if (input === "any") return { kind: "any" };
  refuseUnknownKeys(path, input, ["cidr", "domain", "domain_suffix", "group"]);
  const [first, second] = Object.entries(input).filter(([, value]) => value !== undefined);
  if (first === undefined || second !== undefined) {
    throw new InvalidConfigError(
      `${path} is ${shown(input)} of ${Object.keys(input).join(" and ") || "nothing"}`,
      {
        hint: 'Write "any", or exactly one of cidr, domain, domain_suffix and group.',
      },
    );
  }
  const [kind, value] = first as readonly [string, unknown];
  if (kind === "domain_suffix") return { kind: "domainSuffix", suffix: value };
  const text = kind === "group" && typeof value === "string" ? value.replaceAll("_", "-") : value;
  return { kind, [kind]: text };
}

/** The same policy as such JSON. */
export function policyToWire(policy: NetworkPolicy): WirePolicy {
  return {
    default_egress: policy.defaultEgress,
    default_ingress: policy.defaultIngress,
    rules: policy.rules.map(({ destination, ...rule }) => ({
      ...rule,
      destination: wireDestination(destination),
    })),
  };
}

function wireDestination(destination: Rule["destination"]): WireDestination {
  switch (destination.kind) {
    case "any":
      return "any";
    case "cidr":
      return { cidr: destination.cidr };
    case "domain":
      return { domain: destination.domain };
    case "domainSuffix":
      return { domain_suffix: destination.suffix };
    case "group":
      return { group: destination.group.replaceAll("-", "_") };
  }
}
