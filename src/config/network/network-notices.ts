import { IpAddress } from "../../host/ip/address.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { networkOf, type NetworkParts } from "./network-of.ts";
import { ruleTokens } from "./policy/rule-text.ts";
import { shadowedRules } from "./policy/shadowed-rules.ts";

const most = 5;
const loopbacks = ["127.0.0.0/8", "::1/128"].map((text) => Cidr.parse(text));

/** What a user should know of a network that is allowed and may not be meant. */
export function networkNotices(config: NetworkParts): string[] {
  const network = networkOf(config);
  if (network === null) return [];
  const { rules } = network.policy;
  const shadowed = shadowedRules(network.policy);
  const text = (index: number): string => {
    const rule = rules[index];
    return `${index + 1} (${rule === undefined ? "" : ruleTokens(rule).join(", ")})`;
  };
  const notices = shadowed
    .slice(0, most)
    .map(({ rule, by }) => `network rule ${text(rule)} is never reached: rule ${text(by)} covers it`);
  if (shadowed.length > most) notices.push(`${shadowed.length - most} more network rules are never reached`);
  const exposed = network.ports.filter(({ hostBind }) => !isLoopback(hostBind));
  for (const { hostBind, guestPort, protocol } of exposed)
    notices.push(
      `port ${guestPort}/${protocol} of the guest is offered at ${hostBind}: other computers reach it`,
    );
  return notices;
}

function isLoopback(text: string): boolean {
  const address = IpAddress.parse(text);
  return address !== null && loopbacks.some((range) => range?.contains(address.unmapped()) === true);
}
