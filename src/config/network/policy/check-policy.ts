import { InvalidConfigError } from "../../../errors/index.ts";
import { Cidr } from "../../../host/ip/cidr.ts";
import { checkList, checkOneOf, shown } from "../../checks.ts";
import { refuseUnknownKeys } from "../../keys/unknown-keys.ts";
import { normalizeDomainName } from "./domain-name.ts";
import { DestinationGroups, PolicyActions, RuleDirections, RuleProtocols, unknownGroup } from "./rules.ts";
import type { Destination, NetworkPolicy, PortRange, Rule } from "../policy-type.ts";

/**
 * Checks a policy that may have been made by hand, and brings its names and ranges into the form that is stored.
 *
 * @param path what the user calls it
 * @param ruleOf checks its rules
 * @throws InvalidConfigError
 */
export function checkPolicy(
  path: string,
  input: unknown,
  ruleOf: (path: string, input: unknown) => Rule = checkRule,
): NetworkPolicy {
  refuseUnknownKeys(path, input, ["defaultEgress", "defaultIngress", "rules"]);
  const { defaultEgress, defaultIngress, rules } = input as Partial<NetworkPolicy>;
  return {
    defaultEgress: checkOneOf(`${path}.defaultEgress`, defaultEgress ?? "deny", PolicyActions),
    defaultIngress: checkOneOf(`${path}.defaultIngress`, defaultIngress ?? "deny", PolicyActions),
    rules: checkList(`${path}.rules`, rules ?? []).map((rule, index) =>
      ruleOf(`${path}.rules[${index}]`, rule),
    ),
  };
}

/** @throws InvalidConfigError also for a rule about ICMP that never matches */
export function checkRule(path: string, input: unknown): Rule {
  return refuseIcmp(path, readRule(path, input));
}

/**
 * @returns the rule
 * @throws InvalidConfigError for ICMP that comes to the sandbox, since there is no way for it, and for ICMP with ports, which it has not
 */
export function refuseIcmp(what: string, rule: Rule): Rule {
  const { direction, protocols, ports } = rule;
  const icmp = protocols.filter((protocol) => protocol.startsWith("icmp"));
  const [first] = icmp;
  if (direction !== "egress" && first !== undefined) {
    throw new InvalidConfigError(
      `${what}: ${first} in a rule for ${direction === "any" ? "any direction" : "ingress"}; ICMP is egress only`,
      { hint: "Make it a rule for egress: nothing but published TCP and UDP ports is reached from outside." },
    );
  }
  // Next to other protocols the ports are about those.
  if (first !== undefined && icmp.length === protocols.length && ports.length > 0) {
    throw new InvalidConfigError(`${what} has a port, and ICMP has none`, { hint: "Leave the port out." });
  }
  return rule;
}

/** @throws InvalidConfigError */
export function readRule(path: string, input: unknown): Rule {
  refuseUnknownKeys(path, input, ["direction", "destination", "protocols", "ports", "action"]);
  const { direction, destination, protocols, ports, action } = input as Partial<Rule>;
  return {
    direction: checkOneOf(`${path}.direction`, direction ?? "", RuleDirections),
    destination: checkDestination(`${path}.destination`, destination),
    protocols: distinct(
      checkList(`${path}.protocols`, protocols ?? []).map((protocol) =>
        checkOneOf(`${path}.protocols`, protocol as string, RuleProtocols),
      ),
    ),
    ports: checkList(`${path}.ports`, ports ?? []).map((range) => checkPortRange(`${path}.ports`, range)),
    action: checkOneOf(`${path}.action`, action ?? "", PolicyActions),
  };
}

function checkDestination(path: string, input: unknown): Destination {
  const { kind, cidr, domain, suffix, group } = Object(input) as Readonly<Record<string, unknown>>;
  switch (kind) {
    case "any":
      return { kind };
    case "cidr":
      return { kind, cidr: checkCidr(cidr) };
    case "domain":
      return { kind, domain: checkDomain(domain) };
    case "domainSuffix":
      return { kind, suffix: checkDomain(suffix) };
    case "group": {
      const found = DestinationGroups.find((known) => known === group);
      if (found === undefined) throw unknownGroup(group);
      return { kind, group: found };
    }
    default:
      throw new InvalidConfigError(`${path} is ${shown(input)}, which is no destination`, {
        hint: "Make it with Destination.any(), cidr(), domain(), domainSuffix() or group().",
      });
  }
}

/** @throws InvalidConfigError */
export function checkCidr(text: unknown): string {
  const range = typeof text === "string" ? Cidr.parse(text) : null;
  if (range !== null) return range.toString();
  throw new InvalidConfigError(`invalid CIDR \`${plain(text)}\``, {
    hint: "Write an address and the bits that count: 10.0.0.0/8, 2001:db8::/32.",
  });
}

/** @throws InvalidConfigError */
export function checkDomain(text: unknown): string {
  const read = typeof text === "string" ? normalizeDomainName(text) : { problem: "it is no text" };
  if ("name" in read) return read.name;
  throw new InvalidConfigError(`invalid domain \`${plain(text)}\`: ${read.problem}`, {
    hint: "Write a name alone, such as example.com.",
  });
}

function checkPortRange(path: string, input: unknown): PortRange {
  refuseUnknownKeys(path, input, ["start", "end"]);
  const { start, end } = input as Partial<PortRange>;
  return portRange(path, start as number, end as number);
}

/** @throws InvalidConfigError */
export function portRange(path: string, start: number, end: number): PortRange {
  for (const port of [start, end]) {
    if (Number.isInteger(port) && port >= 0 && port <= 65_535) continue;
    throw new InvalidConfigError(`${path} is ${shown(port)}, which is no port`, {
      hint: "Ports go from 0 to 65535.",
    });
  }
  if (start <= end) return { start, end };
  throw new InvalidConfigError(`invalid port range ${start}..${end}; lo must be <= hi`, {
    hint: "Write the lower port first.",
  });
}

function plain(text: unknown): string {
  return typeof text === "string" ? text.slice(0, 300) : shown(text);
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** As text, bytes: the status of a network tells all of it in one message of 4 MiB, with ports and flows beside it. */
export const largestPolicyBytes: number = 3 * 1024 * 1024;

/** @throws InvalidConfigError for one that is too large to be told of */
export function checkPolicySize(policy: NetworkPolicy): void {
  const bytes = Buffer.byteLength(JSON.stringify(policy));
  if (bytes <= largestPolicyBytes) return;
  throw new InvalidConfigError(
    `the network policy would have ${policy.rules.length} rules and take ${bytes} bytes as text, more than ${largestPolicyBytes}`,
    {
      hint: "Replace rules by ones that say more: a range, a suffix of names, or several ports in one rule.",
    },
  );
}
