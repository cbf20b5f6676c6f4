import { InvalidConfigError } from "../../../errors/index.ts";
import { nearest } from "../../keys/nearest.ts";
import type { PortRange, Rule, RuleDirection, RuleProtocol } from "../policy-type.ts";
import { portRange, refuseIcmp } from "./check-policy.ts";
import { PolicyActions, RuleDirections, RuleProtocols } from "./rules.ts";
import { needsBrackets, parseTarget, splitTarget } from "./rule-target.ts";

const form = "ACTION[:DIRECTION]@TARGET[:PROTOCOL[:PORTS]]";

/**
 * Reads rules that are written as text, several separated by commas: `allow@example.com:tcp:443`, `deny:any@10.0.0.0/8`,
 * `allow:ingress@private:tcp:8000-8999`. Empty ones are passed over; the order is kept.
 *
 * @throws InvalidConfigError
 */
export function parseRuleTokens(text: string): Rule[] {
  return text
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "")
    .map(parseRuleToken);
}

/** @throws InvalidConfigError */
export function parseRuleToken(token: string): Rule {
  const at = token.indexOf("@");
  if (at === -1) {
    throw new InvalidConfigError(`the rule ${JSON.stringify(token)} has no @`, {
      hint: `Rules are written ${form}, such as allow@example.com:tcp:443.`,
    });
  }
  const [actionText = "", directionText = "egress", ...more] = token.slice(0, at).split(":");
  if (more.length > 0) {
    throw new InvalidConfigError(`the rule ${JSON.stringify(token)} has too many fields before the @`, {
      hint: `Rules are written ${form}.`,
    });
  }
  const action = word("action", actionText, PolicyActions);
  const direction = word("direction", directionText, RuleDirections);
  const { target, fields } = splitTarget(token.slice(at + 1));
  const destination = parseTarget(target);
  const [protocolText = "any", portsText = "any", ...extra] = fields;
  if (extra.length > 0) throw needsBrackets(token.slice(at + 1));
  if (/^\d+(?:-\d+)?$/.test(protocolText)) {
    throw new InvalidConfigError(`${JSON.stringify(protocolText)} stands where a protocol is expected`, {
      hint: `Write ${target.includes(":") ? `[${target}]` : target}:tcp:${protocolText}.`,
    });
  }
  const protocol = word("protocol", protocolText, ["any", ...RuleProtocols]);
  const ports = portsOf(portsText);
  if (destination.kind === "dns") return dnsRule(action, direction, protocol, ports);
  const protocols = protocol === "any" ? [] : [protocol];
  return refuseIcmp(`the rule ${JSON.stringify(token)}`, {
    ...{ direction, destination, protocols, ports, action },
  });
}

function word<const Word extends string>(what: string, text: string, words: readonly Word[]): Word {
  const found = words.find((known) => known === text);
  if (found !== undefined) return found;
  const meant = nearest(text, words);
  const suggestion = meant === null ? "" : `: did you mean ${JSON.stringify(meant)}?`;
  throw new InvalidConfigError(`there is no ${what} ${JSON.stringify(text)}${suggestion}`, {
    hint: `Use one of: ${words.join(", ")}.`,
  });
}

function portsOf(text: string): PortRange[] {
  if (text === "any") return [];
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (low === undefined) {
    throw new InvalidConfigError(`${JSON.stringify(text)} is no port`, {
      hint: "Write a port, 443, a range, 8000-8999, or any.",
    });
  }
  return [portRange("a port", Number(low), Number(high ?? low))];
}

/** The gateway's resolver is at port 53 of the group of the host. */
function dnsRule(
  action: Rule["action"],
  direction: RuleDirection,
  protocol: RuleProtocol | "any",
  ports: readonly PortRange[],
): Rule {
  const [range] = ports;
  if (
    direction !== "egress" ||
    protocol.startsWith("icmp") ||
    (range !== undefined && (range.start !== 53 || range.end !== 53))
  ) {
    throw new InvalidConfigError("dns stands for UDP and TCP to port 53 of the gateway, egress", {
      hint: `Write ${action}@dns, ${action}@dns:udp or ${action}@dns:tcp.`,
    });
  }
  const protocols: readonly RuleProtocol[] = protocol === "any" ? ["udp", "tcp"] : [protocol];
  return {
    ...{ direction, destination: { kind: "group", group: "host" }, protocols },
    ...{ ports: [{ start: 53, end: 53 }], action },
  };
}
