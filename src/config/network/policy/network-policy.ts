import type { NetworkPolicy as Policy, Rule as RuleValue } from "../policy-type.ts";
import { Destination, Rule } from "./rules.ts";

/** What may be reached and who may come: the first rule that matches decides; without one the default of the direction. */
export type NetworkPolicy = Policy;

/** Whom a sandbox may talk to, in the order of their rules. */
export const NetworkProfiles = ["public", "private", "host"] as const;
export type NetworkProfile = (typeof NetworkProfiles)[number];

function fromProfiles(profiles: Iterable<NetworkProfile>): NetworkPolicy {
  const chosen = new Set<string>(profiles);
  for (const profile of chosen) {
    if (!(NetworkProfiles as readonly string[]).includes(profile))
      throw new RangeError(`unknown network profile: ${profile}`);
  }
  const rules = NetworkProfiles.filter((profile) => chosen.has(profile)).map((profile) =>
    Rule.allowEgress(Destination.group(profile)),
  );
  return {
    defaultEgress: "deny",
    defaultIngress: "allow",
    rules: rules.length === 0 ? [] : [Rule.allowDns(), ...rules],
  };
}

/**
 * Makes policies, for `network(n => n.policy(…))` and for `network` of a configuration object alike.
 *
 * @example
 * ```ts
 * import { NetworkPolicy, Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("network-policy-example")
 *   .image("localhost/base")
 *   .network((n) => n.policy(NetworkPolicy.fromProfiles(["public", "host"])))
 *   .replace()
 *   .create();
 * console.log(sandbox.config.network?.policy?.rules.length); // 3: names, public addresses, the host
 * ```
 */
export const NetworkPolicy = {
  /** Nothing, in either direction. */
  none: (): NetworkPolicy => ({ defaultEgress: "deny", defaultIngress: "deny", rules: [] }),
  /** Everything, in both directions. */
  allowAll: (): NetworkPolicy => ({ defaultEgress: "allow", defaultIngress: "allow", rules: [] }),
  /** The default: names and public addresses. */
  publicOnly: (): NetworkPolicy => fromProfiles(["public"]),
  /** Names, public and private addresses; not the host. */
  nonLocal: (): NetworkPolicy => fromProfiles(["public", "private"]),
  /**
   * Names and the addresses of some profiles; with none of them nothing.
   *
   * @throws RangeError for a profile that there is not
   */
  fromProfiles,
};

/** The same policy with rules before its own: those decide first. */
export function withFirstRules(policy: NetworkPolicy, rules: readonly RuleValue[]): NetworkPolicy {
  return rules.length === 0 ? policy : { ...policy, rules: [...rules, ...policy.rules] };
}
