import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, policy } from "../../../test/support/policy-sample.ts";
import type { NetworkConfig } from "../../config/network/network-type.ts";
import { createPolicyEngine } from "./create-engine.ts";
import { DnsBindings } from "./dns-bindings.ts";
import type { PolicyEngine } from "./verdict.ts";

function engineOf(
  text: string,
  deploymentProfile: NetworkConfig["deploymentProfile"] = "single-tenant",
): PolicyEngine {
  return createPolicyEngine({
    policy: policy(text),
    bindings: new DnsBindings(),
    gateways: [ip("172.16.0.1"), ip("fd42:6d73:62::1")],
    deploymentProfile,
  });
}

/** Of network.md 19.6: the policy; then questions as `name transport` (`?`: no name that a rule could mean), and what is said. */
const rows: readonly (readonly [string, Readonly<Record<string, "allow" | "deny">>])[] = [
  ["allow/allow; deny evil.com", { "evil.com udp53": "deny", "good.com udp53": "allow" }],
  [
    "allow/allow; deny .evil.com",
    {
      "evil.com udp53": "deny",
      "foo.evil.com udp53": "deny",
      "deep.sub.evil.com udp53": "deny",
      "notevil.com udp53": "allow",
    },
  ],
  ["allow/allow; deny any; allow good.com", { "good.com udp53": "deny", "other.com tcp53": "deny" }],
  ["allow/allow; deny 10.0.0.0/8; deny public", { "good.com udp53": "allow", "? udp53": "allow" }],
  [
    "deny/allow; allow host udp,tcp 53",
    { "good.com udp53": "allow", "good.com tcp53": "allow", "good.com tcp853": "deny" },
  ],
  ["deny/allow; allow host udp 53", { "good.com udp53": "allow", "good.com tcp53": "deny" }],
  [
    "allow/allow; allow evil.com; deny .evil.com",
    { "evil.com udp53": "allow", "foo.evil.com udp53": "deny" },
  ],
  ["allow/allow; deny evil.com tcp 443", { "evil.com udp53": "deny" }],
  ["deny/allow; allow good.com tcp 443", { "good.com udp53": "allow", "other.com udp53": "deny" }],
  ["deny/allow", { "good.com udp53": "deny", "? udp53": "deny" }],
  ["deny/allow; allow any udp", { "good.com udp53": "allow", "good.com tcp53": "deny" }],
  ["deny/allow; allow any udp 53", { "? udp53": "allow", "? tcp53": "deny" }],
  ["deny/allow; allow example.com", { "? udp53": "deny", "example.com udp53": "allow" }],
  ["allow/allow; deny ingress evil.com", { "evil.com udp53": "allow" }],
  ["allow/allow; deny any-direction evil.com", { "evil.com udp53": "deny" }],
];

for (const [index, [text, says]] of rows.entries())
  test(`19.6, ${index + 1}: questions under ${text}`, () => {
    const engine = engineOf(text);
    const said = Object.keys(says).map((question) => {
      const [name = "", transport = ""] = question.split(" ");
      const [, protocol, port] = /^(udp|tcp)(\d+)$/.exec(transport) ?? [];
      return [
        question,
        engine.query(name === "?" ? null : name, {
          protocol: protocol === "udp" ? "udp" : "tcp",
          port: Number(port),
        }).action,
      ];
    });
    assert.deepEqual(Object.fromEntries(said), says);
  });

test("a question's verdict says which rule it was, and the name when it decided", () => {
  const engine = engineOf("deny/allow; allow host udp 53; allow a.example; allow .b.example");
  const udp = { protocol: "udp", port: 53 } as const;
  const tcp = { protocol: "tcp", port: 53 } as const;
  assert.deepEqual(engine.query("a.example", udp), { action: "allow", rule: 0, name: null });
  assert.deepEqual(engine.query("a.example", tcp), { action: "allow", rule: 1, name: "a.example" });
  assert.deepEqual(engine.query("x.b.example", tcp), { action: "allow", rule: 2, name: "x.b.example" });
  assert.deepEqual(engine.query("c.example", tcp), { action: "deny", rule: null, name: null });
});

/** Of network.md 9.5 and 19.7, 17 to 21. */
const exceptions: readonly (readonly [string, string, boolean])[] = [
  ["deny/allow; allow host udp,tcp 53; allow public; allow private", "10.20.30.40", true],
  ["deny/allow; allow host udp,tcp 53; allow public", "10.20.30.40", false],
  ["deny/allow; allow host udp,tcp 53; allow public", "0.0.0.0", false],
  ["deny/allow; allow host udp,tcp 53; allow public", "::", false],
  ["deny/allow; allow host udp,tcp 53; allow public", "64:ff9b::10.20.30.40", false],
  ["deny/allow; allow private", "64:ff9b::10.20.30.40", true],
  ["deny/allow; allow private", "::ffff:10.20.30.40", true],
  ["allow/allow", "10.20.30.40", false],
  ["allow/allow; allow any", "10.20.30.40", false],
  ["deny/allow; deny 10.20.30.40/32; allow private", "10.20.30.40", false],
  ["deny/allow; deny 10.20.30.40/32; allow private", "10.20.30.41", true],
  ["deny/allow; allow 10.0.0.0/8", "10.20.30.40", true],
  ["deny/allow; allow 10.0.0.0/8 tcp 443", "10.20.30.40", false],
  ["deny/allow; deny private tcp 443; allow private", "10.20.30.40", true],
  ["deny/allow; deny private tcp; allow private", "10.20.30.40", true],
  ["deny/allow; deny private tcp,udp; allow private", "10.20.30.40", false],
  ["deny/allow; allow private icmpv4", "10.20.30.40", false],
  ["deny/allow; allow corp.example; deny any; allow private", "10.20.30.40", true],
  ["deny/allow; allow ingress private", "10.20.30.40", false],
  ["deny/allow; allow any-direction private", "10.20.30.40", true],
  ["deny/allow; allow host", "172.16.0.1", true],
];

for (const [text, address, isException] of exceptions)
  test(`9.5: under ${text}, a name may${isException ? "" : " not"} stand for ${address}`, () => {
    assert.equal(engineOf(text).isRebindException(ip(address)), isException);
  });

test("19.7, 21: a tenant's private profile makes no exception under the platform's policy", () => {
  const text = "deny/allow; allow host udp,tcp 53; allow public; allow private";
  assert.equal(engineOf(text).isRebindException(ip("10.0.0.7")), true);
  assert.equal(engineOf(text, "multi-tenant").isRebindException(ip("10.0.0.7")), false);
});
