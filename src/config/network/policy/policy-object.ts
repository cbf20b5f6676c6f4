import { InvalidConfigError } from "../../../errors/index.ts";
import { Cidr } from "../../../host/ip/cidr.ts";
import { checkList, checkOneOf, shown } from "../../checks.ts";
import { refuseUnknownKeys } from "../../keys/unknown-keys.ts";
import type {
  Destination,
  NetworkPolicy,
  PolicyAction,
  PortRange,
  Rule,
  RuleProtocol,
} from "../policy-type.ts";
import { parseTarget } from "./rule-target.ts";
import { checkPolicy, checkRule, portRange, refuseIcmp } from "./check-policy.ts";
import { suffixDestination } from "./destination-builder.ts";
import { NetworkPolicy as Policies } from "./network-policy.ts";
import { NetworkPolicyBuilder } from "./policy-builder.ts";
import { PolicyActions, RuleProtocols, type PolicyDirection } from "./rules.ts";

/** Policies that have a name in a configuration object. */
const presets: Readonly<Record<string, () => NetworkPolicy>> = {
  "public-only": Policies.publicOnly,
  "non-local": Policies.nonLocal,
  "allow-all": Policies.allowAll,
  none: Policies.none,
};
export type PresetName = "public-only" | "non-local" | "allow-all" | "none";

/** A rule of a configuration object. */
export interface PolicyRuleInput {
  readonly action: PolicyAction;
  /** By default outbound. */
  readonly direction?: PolicyDirection | Rule["direction"] | null;
  /** `*`, an address, a range, `example.com`, `.example.com` (and all below it), or a group; by default `*`. */
  readonly destination?: string | null;
  readonly protocol?: RuleProtocol | null;
  /** `443` or `8000-9000`. */
  readonly port?: string | number | null;
}

/** The part of a configuration object that is about policy. */
export interface PolicyInput {
  /** Not looked at when there are rules; with defaults besides, its rules hold with those. */
  readonly policy?: PresetName | NetworkPolicy | NetworkPolicyBuilder | null;
  readonly rules?: readonly (PolicyRuleInput | Rule)[] | null;
  /** What is done without a rule, in both directions. */
  readonly defaultAction?: PolicyAction | null;
  readonly defaultEgress?: PolicyAction | null;
  readonly defaultIngress?: PolicyAction | null;
}

/**
 * The policy that a configuration object has. With rules: the defaults are as it says, else deny for what goes out, and for what comes
 * in deny where a rule is about that, else allow. Without rules the defaults go over those of the ready-made policy that it names; when
 * it names none, they are a policy without rules.
 *
 * @returns null when it says nothing about policy
 * @throws InvalidConfigError
 */
export function policyOfObject(path: string, input: PolicyInput): NetworkPolicy | null {
  const { policy, rules, defaultAction, defaultEgress, defaultIngress } = input;
  const hasDefaults = [defaultAction, defaultEgress, defaultIngress].some(isSaid);
  if (isSaid(rules) || hasDefaults) {
    if (isSaid(policy) && typeof policy !== "string") {
      throw new InvalidConfigError(`${path} has a policy, and rules or defaults besides`, {
        hint: "Put the rules into the policy, or leave the policy out.",
      });
    }
    return isSaid(policy) && !isSaid(rules) ? withDefaults(path, policy, input) : fromRules(path, input);
  }
  if (!isSaid(policy)) return null;
  if (policy instanceof NetworkPolicyBuilder) return policy.build();
  if (typeof policy !== "string") return checkPolicy(`${path}.policy`, policy);
  return preset(path, policy);
}

function preset(path: string, name: PresetName): NetworkPolicy {
  return (presets[checkOneOf(`${path}.policy`, name, Object.keys(presets))] ?? Policies.none)();
}

function withDefaults(path: string, name: PresetName, input: PolicyInput): NetworkPolicy {
  const base = preset(path, name);
  const { egress, ingress } = defaultsOf(path, input);
  return {
    ...base,
    defaultEgress: egress ?? base.defaultEgress,
    defaultIngress: ingress ?? base.defaultIngress,
  };
}

interface Defaults {
  /** null: not said. */
  readonly egress: PolicyAction | null;
  readonly ingress: PolicyAction | null;
}

function defaultsOf(path: string, input: PolicyInput): Defaults {
  const { defaultAction, defaultEgress, defaultIngress } = input;
  if (isSaid(defaultAction) && (isSaid(defaultEgress) || isSaid(defaultIngress))) {
    throw new InvalidConfigError(`${path} has defaultAction, and a default of one direction besides`, {
      hint: "Say defaultAction for both, or defaultEgress and defaultIngress.",
    });
  }
  const action = (key: keyof PolicyInput, value: PolicyAction | null | undefined): PolicyAction | null =>
    isSaid(value) ? checkOneOf(`${path}.${key}`, value, PolicyActions) : null;
  const both = action("defaultAction", defaultAction);
  return {
    egress: both ?? action("defaultEgress", defaultEgress),
    ingress: both ?? action("defaultIngress", defaultIngress),
  };
}

function fromRules(path: string, input: PolicyInput): NetworkPolicy {
  const { egress, ingress } = defaultsOf(path, input);
  const made = checkList(`${path}.rules`, input.rules ?? []).map((rule, index) =>
    ruleOf(`${path}.rules[${index}]`, rule),
  );
  const isOpen = made.every(({ direction }) => direction === "egress");
  return {
    defaultEgress: egress ?? "deny",
    defaultIngress: ingress ?? (isOpen ? "allow" : "deny"),
    rules: made,
  };
}

const directions = { outbound: "egress", inbound: "ingress" } as const;
const directionWords = ["outbound", "inbound", "egress", "ingress", "any"] as const;

function ruleOf(path: string, input: unknown): Rule {
  // As Rule.allowEgress() and the like make them.
  if (typeof Reflect.get(Object(input) as object, "destination") === "object" && "direction" in Object(input))
    return checkRule(path, input);
  refuseUnknownKeys(path, input, ["action", "direction", "destination", "protocol", "port"]);
  const { action, direction, destination, protocol, port } = input as PolicyRuleInput;
  const towards = checkOneOf(`${path}.direction`, direction ?? "outbound", directionWords);
  return refuseIcmp(path, {
    direction: towards === "outbound" || towards === "inbound" ? directions[towards] : towards,
    destination: destinationOf(`${path}.destination`, destination ?? "*"),
    protocols: isSaid(protocol) ? [checkOneOf(`${path}.protocol`, protocol, RuleProtocols)] : [],
    ports: isSaid(port) ? [rangeOf(`${path}.port`, String(port))] : [],
    action: checkOneOf(`${path}.action`, action, PolicyActions),
  });
}

function destinationOf(path: string, text: string): Destination {
  if (typeof text !== "string") {
    throw new InvalidConfigError(`${path} is ${shown(text)}, which is no text`, {
      hint: 'Write "*", an address, a range, a name or a group.',
    });
  }
  if (text === "*") return { kind: "any" };
  if (text.startsWith(".")) return suffixDestination(text);
  const range = Cidr.parse(text);
  if (range !== null) return { kind: "cidr", cidr: range.toString() };
  const target = parseTarget(text);
  if (target.kind !== "dns") return target;
  throw new InvalidConfigError(`${path} is "dns", which is no destination`, {
    hint: 'Names are asked of "host", port "53".',
  });
}

function rangeOf(path: string, text: string): PortRange {
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (low !== undefined) return portRange(path, Number(low), Number(high ?? low));
  throw new InvalidConfigError(`${path} is ${shown(text)}, which is no port`, {
    hint: 'Write "443" or "8000-9000".',
  });
}

function isSaid<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
