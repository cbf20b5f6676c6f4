import { NetworkPolicy, withFirstRules } from "../../config/network/policy/network-policy.ts";
import { domainDestination, suffixDestination } from "../../config/network/policy/destination-builder.ts";
import { Rule } from "../../config/network/policy/rules.ts";
import type { PolicyAction } from "../../config/network/policy-type.ts";
import { UsageError } from "../output/usage-error.ts";

/** The options that say what may be reached. */
export interface PolicyFlags {
  /** `--net`; false: `--no-net`. */
  readonly net: NetworkPolicy | false | undefined;
  readonly netRule: readonly (readonly Rule[])[];
  readonly netDefault: PolicyAction | undefined;
  readonly netDefaultEgress: PolicyAction | undefined;
  readonly netDefaultIngress: PolicyAction | undefined;
  readonly denyDomain: readonly string[];
  readonly denyDomainSuffix: readonly string[];
}

/**
 * What they say together. Rules go before those of the policy that the others make: the profiles, or the default; with `--net-default*`
 * none. Names that are denied come first of all.
 *
 * @returns null when none of them was given
 * @throws UsageError for options that contradict each other
 */
export function policyOfFlags(flags: PolicyFlags): NetworkPolicy | null {
  const { net, netDefault, netDefaultEgress, netDefaultIngress } = flags;
  const rules = [
    ...flags.denyDomain.map((name) => Rule.denyEgress(domainDestination(name))),
    ...flags.denyDomainSuffix.map((suffix) => Rule.denyEgress(suffixDestination(suffix))),
    ...flags.netRule.flat(),
  ];
  const hasDefault = [netDefault, netDefaultEgress, netDefaultIngress].some((one) => one !== undefined);
  if (net !== undefined && hasDefault) throw exclusive(net === false ? "--no-net" : "--net", "--net-default");
  if (netDefault !== undefined && (netDefaultEgress ?? netDefaultIngress) !== undefined)
    throw exclusive("--net-default", "--net-default-egress or --net-default-ingress");
  if (net === false) {
    if (rules.length > 0) throw exclusive("--no-net", "rules: nothing is reached");
    return NetworkPolicy.none();
  }
  if (net === undefined && !hasDefault && rules.length === 0) return null;
  const base = hasDefault
    ? {
        defaultEgress: netDefault ?? netDefaultEgress ?? "deny",
        defaultIngress: netDefault ?? netDefaultIngress ?? "allow",
        rules: [],
      }
    : (net ?? NetworkPolicy.publicOnly());
  return withFirstRules(base, rules);
}

function exclusive(one: string, other: string): UsageError {
  return new UsageError(`${one} cannot be used with ${other}.`, "Leave one of them out.");
}
