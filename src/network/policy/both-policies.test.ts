import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, policy } from "../../../test/support/policy-sample.ts";
import { createPolicyEngine } from "./create-engine.ts";
import { DnsBindings } from "./dns-bindings.ts";
import type { Evidence, PolicyEngine } from "./verdict.ts";

const v4 = "93.184.216.34";

function tenant(text: string): PolicyEngine {
  const bindings = new DnsBindings();
  bindings.bind("good.example", [ip(v4)], 60);
  bindings.bind("inside.example", [ip("10.0.0.7")], 60);
  return createPolicyEngine({
    policy: policy(text),
    bindings,
    gateways: [ip("172.16.0.1")],
    deploymentProfile: "multi-tenant",
  });
}

const flow = (address: string, port: number | null = 443, protocol: "tcp" | "udp" | "icmpv4" = "tcp") => ({
  protocol,
  address: ip(address),
  port,
});
const plain: Evidence = { kind: "bindings" };
const denied = { action: "deny", rule: null, name: null, byPlatform: true };

test("a tenant that allows all reaches the public internet only", () => {
  const engine = tenant("allow/allow");
  assert.equal(engine.egress(flow("8.8.8.8"), plain).action, "allow");
  assert.equal(engine.egress(flow("8.8.8.8", null, "icmpv4"), plain).action, "allow");
  for (const address of [
    "10.0.0.7",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "224.0.0.1",
    "fe80::1",
    "0.0.0.0",
  ])
    for (const protocol of ["tcp", "udp"] as const)
      assert.deepEqual(engine.egress(flow(address, 443, protocol), plain), denied, address);
  assert.deepEqual(engine.egress(flow("172.16.0.1", null, "icmpv4"), plain), denied);
});

test("rules and names of a tenant open nothing that the platform does not", () => {
  const engine = tenant(
    "deny/allow; allow private; allow inside.example; allow 169.254.169.254/32; allow host",
  );
  for (const evidence of [plain, { kind: "sni", name: "inside.example" }, { kind: "deferred" }] as const)
    assert.deepEqual(engine.egress(flow("10.0.0.7"), evidence), denied);
  assert.deepEqual(engine.egress(flow("169.254.169.254", 80), plain), denied);
  assert.deepEqual(engine.egress(flow("172.16.0.1", 22), plain), denied);
});

test("what the tenant denies is the tenant's rule", () => {
  const engine = tenant("allow/deny; deny 8.8.8.8/32; deny private; allow ingress 1.2.3.4/32");
  assert.deepEqual(engine.egress(flow("8.8.8.8"), plain), { action: "deny", rule: 0, name: null });
  assert.deepEqual(engine.egress(flow("10.0.0.7"), plain), { action: "deny", rule: 1, name: null });
  assert.deepEqual(engine.ingress(flow("1.2.3.4", 80)), { action: "allow", rule: 2, name: null });
  assert.deepEqual(engine.ingress(flow("1.2.3.5", 80)), { action: "deny", rule: null, name: null });
});

test("a tenant's rules about names wait for the name as ever", () => {
  const engine = tenant("deny/allow; allow good.example");
  assert.equal(engine.hasDomainRules, true);
  assert.deepEqual(engine.egress(flow(v4), { kind: "deferred" }), {
    action: "defer",
    rule: 0,
    name: "good.example",
  });
  assert.equal(engine.egress(flow(v4), { kind: "sni", name: "good.example" }).action, "allow");
  assert.equal(engine.egress(flow(v4), { kind: "sni", name: "other.example" }).action, "deny");
  assert.equal(engine.query("good.example", { protocol: "udp", port: 53 }).action, "allow");
  assert.equal(engine.query("other.example", { protocol: "udp", port: 53 }).action, "deny");
  assert.equal(engine.groupOf(ip("172.16.0.1")), "host");
});
