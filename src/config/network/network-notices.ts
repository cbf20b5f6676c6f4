import { isDeepStrictEqual } from "node:util";
import { IpAddress } from "../../host/ip/address.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { interceptionNotices } from "./interception/interception-notices.ts";
import { networkOf, type NetworkParts } from "./network-of.ts";
import { NetworkPolicy, type NetworkProfile } from "./policy/network-policy.ts";
import { ruleTokens } from "./policy/rule-text.ts";
import { shadowedRules } from "./policy/shadowed-rules.ts";
import { isRefusedToTenants } from "./policy/tenant-rules.ts";

const most = 5;
const loopbacks = ["127.0.0.0/8", "::1/128"].map((text) => Cidr.parse(text));

/** Sets of profiles: their rules are at the end of a policy that has rules of its own before them. */
const profileSets: readonly (readonly NetworkProfile[])[] = [
  ["public"],
  ["private"],
  ["host"],
  ["public", "private"],
  ["public", "host"],
  ["private", "host"],
  ["public", "private", "host"],
];

/** What a user should know of a network that is allowed and may not be meant. */
export function networkNotices(config: NetworkParts): string[] {
  const network = networkOf(config);
  if (network === null) return [];
  const { rules } = network.policy;
  // Of the rules that a profile brings, nobody has to be told that rules of their own say the same.
  const shadowed = shadowedRules(network.policy).filter(({ rule }) => !isOfProfile(network.policy, rule));
  const text = (index: number): string => {
    const rule = rules[index];
    return `${index + 1} (${rule === undefined ? "" : ruleTokens(rule).join(", ")})`;
  };
  const notices = shadowed
    .slice(0, most)
    .map(({ rule, by }) => `network rule ${text(rule)} is never reached: rule ${text(by)} covers it`);
  if (shadowed.length > most) notices.push(`${shadowed.length - most} more network rules are never reached`);
  if (network.deploymentProfile === "multi-tenant") {
    const refused: string[] = [];
    for (const [index, rule] of rules.entries())
      if (isRefusedToTenants(rule) && !isOfProfile(network.policy, index))
        refused.push(
          `network rule ${text(index)} has no effect: a multi-tenant sandbox reaches nothing but public addresses`,
        );
    notices.push(...refused.slice(0, most));
    if (refused.length > most) notices.push(`${refused.length - most} more network rules have no effect`);
  }
  const exposed = network.ports.filter(({ hostBind }) => !isLoopback(hostBind));
  for (const { hostBind, guestPort, protocol } of exposed)
    notices.push(
      `port ${guestPort}/${protocol} of the guest is offered at ${hostBind}: other computers reach it`,
    );
  return [...notices, ...interceptionNotices(network)];
}

/** Whether it is one of the rules at the end that are those of profiles, as they come together. */
function isOfProfile({ rules }: NetworkPolicy, index: number): boolean {
  return profileSets.some((names) => {
    const { rules: profile } = NetworkPolicy.fromProfiles(names);
    const first = rules.length - profile.length;
    return (
      index >= first && first > 0 && profile.every((rule, at) => isDeepStrictEqual(rule, rules[first + at]))
    );
  });
}

function isLoopback(text: string): boolean {
  const address = IpAddress.parse(text);
  return address !== null && loopbacks.some((range) => range?.contains(address.unmapped()) === true);
}
