import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkPolicy, Rule, Destination, type NetworkLogEvent } from "../../api/index.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import type { Decision } from "../wire.ts";
import { Decisions } from "./decisions.ts";

const flow: Extract<NetworkLogEvent, { readonly kind: "flow-denied" }> = {
  ...{ kind: "flow-denied", timestampMs: 5, flow: 1, direction: "egress", protocol: "tcp" },
  ...{ address: "10.1.2.3", group: "private", port: 443, name: null, rule: null, reason: "policy", count: 1 },
};

function decided(...events: NetworkLogEvent[]): Decision | null | undefined {
  const decisions = new Decisions();
  return events.map((event) => decisions.of(event)).at(-1);
}

test("a flow that was denied has the rule that would allow it", () => {
  assert.deepEqual(decided(flow), {
    ...{ at: 5, verdict: "denied", kind: "flow", what: "tcp to 10.1.2.3:443", by: "the default" },
    remedy: "allow@10.1.2.3:tcp:443",
  });
  assert.equal(decided({ ...flow, name: "example.com" })?.remedy, "allow@example.com:tcp:443");
  assert.equal(decided({ ...flow, group: "host", address: "172.16.0.1" })?.remedy, "allow@host:tcp:443");
  assert.equal(decided({ ...flow, address: "fd00::1" })?.remedy, "allow@[fd00::1]:tcp:443");
  assert.equal(decided({ ...flow, direction: "ingress" })?.remedy, "allow:ingress@10.1.2.3:tcp:443");
  assert.equal(decided({ ...flow, protocol: "icmpv4", port: null })?.remedy, "allow@10.1.2.3:icmpv4");
});

test("every rule that is offered can be read again", () => {
  const names = ["example.com", "a_b.example", "xn--e1afmkfd.example"];
  for (const name of names) {
    const { remedy } = decided({ ...flow, name }) ?? {};
    assert.equal(parseRuleTokens(remedy ?? "").length, 1, name);
  }
});

test("no rule is offered for what no rule decides", () => {
  const denied = decided({ ...flow, reason: "platform" });
  assert.deepEqual([denied?.remedy, denied?.by], [null, "the platform: it is multi-tenant"]);
  const odd = { kind: "dns", timestampMs: 5, name: "a\\032b.example", type: "A", transport: "udp" } as const;
  const answer = { resolver: null, outcome: "denied", rcode: "NXDOMAIN", addresses: [], rule: null } as const;
  assert.equal(decided({ ...odd, ...answer })?.remedy, null);
  assert.equal(decided({ ...odd, ...answer, name: "b.example" })?.remedy, "allow@b.example");
});

test("the rule that decided is named by its text, of the policy of that time", () => {
  const deny = Rule.denyEgress(Destination.domain("example.com"));
  const policy = { ...NetworkPolicy.publicOnly(), rules: [deny] };
  const begun = { kind: "policy", timestampMs: 1, cause: "start", policy, observe: false } as const;
  assert.equal(decided(begun, { ...flow, rule: 0 })?.by, "rule 0: deny@example.com");
  assert.equal(decided(begun, { ...flow, rule: 7 })?.by, "rule 7");
});

test("what the guest has chosen has nothing in it that steers", () => {
  const name = "a\u001b]0;title\u0007\u202eb.example";
  assert.ok(!/[\u001b\u0007\u202e]/.test(decided({ ...flow, name })?.what ?? "\u001b"));
});
