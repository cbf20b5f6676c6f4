import assert from "node:assert/strict";
import type {
  Destination,
  DestinationGroup,
  NetworkPolicy,
  PolicyAction,
  Rule,
  RuleDirection,
  RuleProtocol,
} from "../../src/config/network/policy-type.ts";
import { IpAddress } from "../../src/host/ip/address.ts";

const groups: ReadonlySet<string> = new Set<DestinationGroup>([
  "public",
  "private",
  "loopback",
  "link-local",
  "metadata",
  "multicast",
  "host",
]);

/**
 * Rules in a short form for tables of tests: `allow public`, `deny any-direction 10.0.0.0/8 tcp,udp 80,443`, `allow .example.com`.
 * Words are the action, the direction (egress when left out), the destination, protocols and ports.
 */
export function rule(text: string): Rule {
  const words = text.split(" ");
  const action = words.shift() as PolicyAction;
  const directions: Readonly<Record<string, RuleDirection>> = {
    egress: "egress",
    ingress: "ingress",
    "any-direction": "any",
  };
  const direction = directions[words[0] ?? ""];
  if (direction !== undefined) words.shift();
  const [destination = "", protocols = "any", ports = "any"] = words;
  return {
    action,
    direction: direction ?? "egress",
    destination: destinationOf(destination),
    protocols: protocols === "any" ? [] : (protocols.split(",") as RuleProtocol[]),
    ports:
      ports === "any"
        ? []
        : ports.split(",").map((range) => {
            const [start = 0, end = start] = range.split("-").map(Number);
            return { start, end };
          }),
  };
}

/** `deny/allow; allow public; …`: the defaults of egress and ingress, then the rules. */
export function policy(text: string): NetworkPolicy {
  const [defaults = "", ...rules] = text.split("; ");
  const [defaultEgress, defaultIngress] = defaults.split("/") as [PolicyAction, PolicyAction];
  return { defaultEgress, defaultIngress, rules: rules.map(rule) };
}

export function ip(text: string): IpAddress {
  const address = IpAddress.parse(text);
  assert.ok(address, `${text} is no address`);
  return address;
}

function destinationOf(text: string): Destination {
  if (text === "any") return { kind: "any" };
  if (groups.has(text)) return { kind: "group", group: text as DestinationGroup };
  if (text.startsWith(".")) return { kind: "domainSuffix", suffix: text.slice(1) };
  if (text.includes("/")) return { kind: "cidr", cidr: text };
  return { kind: "domain", domain: text };
}
