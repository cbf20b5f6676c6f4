import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, policy } from "../../../test/support/policy-sample.ts";
import { decided, engineFor, gateways, holds, type PolicyRow } from "../../../test/support/policy-rows.ts";
import { createPolicyEngine } from "./create-engine.ts";
import { DnsBindings } from "./dns-bindings.ts";

const v4 = "93.184.216.34";
const publicProfile = "deny/allow; allow host udp,tcp 53; allow public";

const profiles: Readonly<Record<string, PolicyRow>> = {
  "the public profile does not allow the gateway": {
    policy: publicProfile,
    says: { "172.16.0.1 80": "deny", "fd42:6d73:62::1 80": "deny" },
  },
  "… but its resolver": { policy: publicProfile, says: { "udp 172.16.0.1 53": "allow #0" } },
  "allow all allows the gateway": { policy: "allow/allow", says: { "172.16.0.1 80": "allow" } },
  "allow host in front": {
    policy: "deny/allow; allow host; allow host udp,tcp 53; allow public",
    says: { "172.16.0.1 80": "allow #0", "10.0.0.5 80": "deny" },
  },
  "deny host": {
    policy: "allow/allow; deny host",
    says: { "172.16.0.1": "deny #0", "fd42:6d73:62::1": "deny #0", "8.8.8.8": "allow" },
  },
  "anyone comes in by default": {
    policy: publicProfile,
    says: { "ingress 198.51.100.10 8080": "allow" },
  },
};

const filters: Readonly<Record<string, PolicyRow>> = {
  "1: ingress does not mean egress": {
    policy: "deny/deny; allow ingress private",
    says: { "10.0.0.5": "deny", "ingress 10.0.0.5 80": "allow #0" },
  },
  "2: both directions": {
    policy: "allow/allow; deny any-direction 1.2.3.4/32",
    says: { "1.2.3.4": "deny #0", "ingress 1.2.3.4 80": "deny #0", "8.8.8.8": "allow" },
  },
  "3: protocols": {
    policy: "deny/deny; allow public tcp,udp 443",
    says: { "tcp 8.8.8.8": "allow #0", "udp 8.8.8.8": "allow #0", "icmpv4 8.8.8.8": "deny" },
  },
  "ICMP has no port": {
    policy: "deny/deny; allow public any 0-65535",
    says: { "icmpv4 8.8.8.8": "deny", "8.8.8.8": "allow #0" },
  },
  "4: ports": {
    policy: "deny/deny; allow public tcp 80,443",
    says: { "8.8.8.8 80": "allow #0", "8.8.8.8 443": "allow #0", "8.8.8.8 8080": "deny" },
  },
  "both ends of a range are in it": {
    policy: "deny/deny; allow public tcp 80-443",
    says: {
      "8.8.8.8 79": "deny",
      "8.8.8.8 80": "allow #0",
      "8.8.8.8 443": "allow #0",
      "8.8.8.8 444": "deny",
    },
  },
  "5: only public": {
    policy: "deny/deny; allow public",
    says: {
      "8.8.8.8": "allow #0",
      "10.0.0.5": "deny",
      "127.0.0.1": "deny",
      "169.254.169.254": "deny",
      "0.0.0.0": "deny",
      "::": "deny",
    },
  },
  "19.5, 9: a range, and mapped addresses": {
    policy: "allow/allow; deny 169.254.0.0/16",
    says: { "::ffff:169.254.169.254": "deny #0", "169.254.1.1": "deny #0" },
  },
  "a range of mapped addresses": {
    policy: "allow/allow; deny ::ffff:169.254.0.0/112",
    says: { "::ffff:169.254.169.254": "deny #0", "169.254.1.1": "deny #0", "169.255.1.1": "allow" },
  },
  "19.5, 10: a range": {
    policy: "deny/deny; allow 10.0.0.0/8",
    says: { "10.1.2.3": "allow #0", "11.0.0.1": "deny", "a01:203::": "deny" },
  },
  "IPv6 ranges": {
    policy: "deny/deny; allow 2001:db8:8000::/33; allow ::/0 tcp 80",
    says: {
      "2001:db8:8000::1": "allow #0",
      "2001:db8:7fff::1": "deny",
      "2001:db8:7fff::1 80": "allow #1",
      "10.0.0.1 80": "deny",
    },
  },
  "all of IPv4": {
    policy: "deny/deny; allow 0.0.0.0/0",
    says: { "255.1.2.3": "allow #0", "2001:db8::1": "deny" },
  },
  "a denied range by NAT64 and tunnels": {
    policy: "allow/allow; deny 198.51.100.0/24",
    says: {
      "64:ff9b::198.51.100.7": "deny #0",
      "2002:c633:6407::1": "deny #0",
      "2001:0:808:808::39cc:9bf8": "deny #0",
      "64:ff9b::198.51.101.7": "allow",
    },
  },
  "an allowed range by NAT64, but not by tunnels": {
    policy: "deny/deny; allow 198.51.100.0/24",
    says: { "64:ff9b::198.51.100.7": "allow #0", "2002:c633:6407::1": "deny" },
  },
  "a range of NAT64 itself": {
    policy: "allow/allow; deny 64:ff9b::/96",
    says: { "64:ff9b::8.8.8.8": "deny #0", "8.8.8.8": "allow" },
  },
};

const tables = { "19.1": profiles, "19.4": filters };

for (const [table, rows] of Object.entries(tables))
  for (const [title, row] of Object.entries(rows))
    test(`${table}: ${title}`, () => {
      holds(row);
    });

test("first bytes are looked at when a rule for what goes out is about a name", () => {
  const has = (text: string): boolean => engineFor({ policy: text, says: {} }).hasDomainRules;
  assert.equal(has(publicProfile), false);
  assert.equal(has("deny/deny; allow ingress example.org"), false);
  assert.equal(has("deny/deny; allow example.org"), true);
  assert.equal(has("allow/allow; deny any-direction .example.org"), true);
});

test("a long list of names is decided as a short one is, and says which rule it was", () => {
  const rules = Array.from(
    { length: 2000 },
    (_, index) => `deny ${index % 2 === 0 ? "." : ""}n${index}.example`,
  );
  const bound = ["n7.example", "a.n7.example", "a.n8.example", "n9.example"];
  const engine = engineFor({
    policy: `allow/allow; ${rules.join("; ")}; deny .n9.example`,
    bound: bound.map((name, index) => `${name}=93.0.0.${index}`),
    says: {},
  });
  assert.deepEqual(
    bound.map((_, index) => decided(engine, `93.0.0.${index}`)),
    ["deny #7 n7.example", "allow", "deny #8 a.n8.example", "deny #9 n9.example"],
  );
  assert.equal(decided(engine, v4, "sni x.y.n9.example"), "deny #2000 x.y.n9.example");
  assert.equal(decided(engine, v4, "sni x.yn9.example"), "allow");
});

test("what is kept of an address with many names is never older than its names", () => {
  let now = 0;
  const bindings = new DnsBindings({ now: () => now });
  const engine = createPolicyEngine({
    policy: policy("deny/deny; allow good.example udp 443; allow .better.example udp 80,443"),
    bindings,
    gateways,
    deploymentProfile: "single-tenant",
  });
  for (let index = 0; index < 10; index++) bindings.bind(`n${index}.example`, [ip(v4)], 60);
  const says = (): string => decided(engine, `udp ${v4}`);
  assert.deepEqual([says(), says()], ["deny", "deny"]);
  bindings.bind("a.better.example", [ip(v4)], 20);
  assert.deepEqual([says(), says()], ["allow #1 a.better.example", "allow #1 a.better.example"]);
  bindings.bind("good.example", [ip(v4)], 10);
  assert.deepEqual([says(), says()], ["allow #0 good.example", "allow #0 good.example"]);
  now = 9999;
  assert.equal(says(), "allow #0 good.example");
  now = 10_000;
  assert.equal(says(), "allow #1 a.better.example");
  bindings.clear("a.better.example", 4);
  assert.deepEqual([says(), says()], ["deny", "deny"]);
});

test("a name of very many labels is compared with each rule's name by its end", () => {
  const many = "a.".repeat(120);
  const rules = Array.from({ length: 20 }, (_, index) => `allow .n${index}.example`);
  const engine = engineFor({ policy: `deny/deny; ${rules.join("; ")}; allow .com`, says: {} });
  const asked = (name: string): number | null => engine.query(name, { protocol: "udp", port: 53 }).rule;
  assert.equal(asked(`${many}n7.example`), 7);
  assert.equal(asked(`${many}com`), 20);
  assert.equal(asked("com"), 20);
  assert.equal(asked(`${many}example`), null);
  assert.equal(asked(`n7.example.${many}org`), null);
});
