import assert from "node:assert/strict";
import { test } from "node:test";
import { pick, type Random, rounds, seeded } from "../../../test/support/fuzz.ts";
import { ip, rule } from "../../../test/support/policy-sample.ts";
import type { Destination, NetworkPolicy, PolicyAction, Rule } from "../../config/network/policy-type.ts";
import { policyTokens } from "../../config/network/policy/rule-text.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { createPolicyEngine } from "./create-engine.ts";
import { DnsBindings } from "./dns-bindings.ts";
import { classify } from "./groups.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "./verdict.ts";

const addresses = ["10.0.0.1", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.1", "172.16.0.1"].map(ip);
const names = ["a.test", "b.a.test", "c.b.a.test", "ba.test", "test.a", "a.test.a"];
const gateways = [ip("172.16.0.1")];

function someRule(random: Random): Rule {
  const suffixes = names.map((name) => `.${name}`);
  const about = pick(random, [
    ...[names, names, suffixes, suffixes],
    ["any", "public", "private", "host", "10.0.0.0/8", "8.0.0.0/5", "2001:db8::/32"],
  ]);
  const words = [
    pick(random, ["allow", "deny"]),
    pick(random, ["", "", "", "ingress", "any-direction"]),
    pick(random, about),
    // Mostly the same, so that rules about names follow each other.
    // A port of ICMP matches nothing, and has no text.
    pick(random, [
      "any",
      "any 443",
      "any 80,400-500",
      "any",
      "tcp",
      "tcp 443",
      "udp,tcp",
      "udp,tcp 80",
      "icmpv4",
    ]),
  ];
  return rule(words.filter((word) => word !== "").join(" "));
}

/** The rules as network.md 6.1 and 9.2 tell of them, one after the other, without anything made ready. */
class Plainly {
  readonly policy: NetworkPolicy;
  readonly bindings: DnsBindings;

  constructor(policy: NetworkPolicy, bindings: DnsBindings) {
    this.policy = policy;
    this.bindings = bindings;
  }

  decide(flow: PolicyFlow, evidence: Evidence, direction: "egress" | "ingress", from = 0): Verdict["action"] {
    for (const [index, one] of this.policy.rules.entries()) {
      if (index < from || !isFor(one, flow, direction)) continue;
      const { destination, action } = one;
      if (destination.kind !== "domain" && destination.kind !== "domainSuffix") {
        if (isAddressIn(destination, flow)) return action;
        continue;
      }
      const bound = this.bindings.namesOf(flow.address);
      const isBound = bound.some((name) => means(destination, name));
      if (evidence.kind === "bindings" && isBound) return action;
      if (evidence.kind === "sni") {
        const isSaid = means(destination, evidence.name);
        const isProved = destination.kind === "domain" ? bound.includes(evidence.name) : isBound;
        const isHidden = isBound && !bound.includes(evidence.name);
        if (action === "allow" ? isSaid && isProved : isSaid || isHidden) return action;
      }
      if (evidence.kind === "deferred") {
        if (action === "allow" && isBound) return "defer";
        if (action === "deny")
          return this.decide(flow, evidence, direction, index + 1) === "deny" ? "deny" : "defer";
      }
    }
    return direction === "egress" ? this.policy.defaultEgress : this.policy.defaultIngress;
  }

  query(name: string, protocol: "tcp" | "udp", port: number): PolicyAction {
    for (const one of this.policy.rules) {
      if (one.direction === "ingress") continue;
      const { destination } = one;
      const flow = { protocol, port, address: ip("8.8.8.8") };
      if (destination.kind === "domain" || destination.kind === "domainSuffix") {
        if (means(destination, name)) return one.action;
      } else if (
        destination.kind === "any" ||
        (destination.kind === "group" && destination.group === "host")
      ) {
        if (isFor(one, flow, "egress")) return one.action;
      }
    }
    return this.policy.defaultEgress;
  }
}

function isFor(one: Rule, { protocol, port }: PolicyFlow, direction: "egress" | "ingress"): boolean {
  return (
    (one.direction === direction || one.direction === "any") &&
    (one.protocols.length === 0 || one.protocols.includes(protocol)) &&
    (one.ports.length === 0 ||
      one.ports.some(({ start, end }) => port !== null && start <= port && port <= end))
  );
}

function isAddressIn(destination: Destination, { address }: PolicyFlow): boolean {
  if (destination.kind === "any") return true;
  if (destination.kind === "group")
    return classify(address, { gateways, nat64Prefixes: [] }) === destination.group;
  return destination.kind === "cidr" && Cidr.parse(destination.cidr)?.contains(address.unmapped()) === true;
}

function means(destination: Destination, name: string): boolean {
  if (destination.kind === "domain") return destination.domain === name;
  if (destination.kind !== "domainSuffix") return false;
  return name === destination.suffix || name.endsWith(`.${destination.suffix}`);
}

test("policies that are made ready, and those that were printed and read, decide as they are written", (context) => {
  const random = seeded(context);
  const seen: Record<string, number> = { allow: 0, deny: 0, defer: 0 };
  for (let round = rounds(1500); round > 0; round--) {
    const policy: NetworkPolicy = {
      defaultEgress: pick(random, ["allow", "deny"]),
      defaultIngress: pick(random, ["allow", "deny"]),
      rules: Array.from({ length: random(pick(random, [4, 30])) }, () => someRule(random)),
    };
    const bindings = new DnsBindings();
    for (let count = random(5); count > 0; count--)
      bindings.bind(pick(random, names), [pick(random, addresses)], 60);
    const engineOf = (rules: readonly Rule[]): PolicyEngine =>
      createPolicyEngine({
        policy: { ...policy, rules },
        bindings,
        gateways,
        deploymentProfile: "single-tenant",
      });
    const engine = engineOf(policy.rules);
    const readAgain = engineOf(parseRuleTokens(policyTokens(policy).join(",")));
    const plainly = new Plainly(policy, bindings);
    for (let count = 0; count < 10; count++) {
      const protocol = pick(random, ["tcp", "udp", "icmpv4"] as const);
      const port = protocol === "icmpv4" ? null : pick(random, [80, 443, 450, 22]);
      const flow = { protocol, address: pick(random, addresses), port };
      const evidence = pick<Evidence>(random, [
        { kind: "bindings" },
        { kind: "deferred" },
        { kind: "sni", name: pick(random, names) },
      ]);
      const told = JSON.stringify({ policy, flow, evidence, bound: bindings.namesOf(flow.address) });
      const said = engine.egress(flow, evidence);
      assert.equal(said.action, plainly.decide(flow, evidence, "egress"), told);
      seen[said.action] = (seen[said.action] ?? 0) + 1;
      if (said.rule !== null && said.action !== "defer")
        assert.equal(policy.rules[said.rule]?.action, said.action, told);
      assert.equal(engine.ingress(flow).action, plainly.decide(flow, { kind: "bindings" }, "ingress"), told);
      assert.equal(readAgain.egress(flow, evidence).action, said.action, told);
      // Nothing comes in by ICMP, so rules about that have no text.
      if (protocol !== "icmpv4")
        assert.equal(readAgain.ingress(flow).action, engine.ingress(flow).action, told);
      const name = pick(random, names);
      const transport = pick(random, ["tcp", "udp"] as const);
      const asked = engine.query(name, { protocol: transport, port: 53 });
      assert.equal(asked.action, plainly.query(name, transport, 53), `${name} ${told}`);
      const again = readAgain.query(name, { protocol: transport, port: 53 });
      assert.equal(again.action, asked.action, `${name} ${told}`);
    }
  }
  context.diagnostic(JSON.stringify(seen));
  assert.ok(Object.values(seen).every((count) => count > 0));
});
