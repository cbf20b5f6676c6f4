import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, policy } from "../../../test/support/policy-sample.ts";
import { createPolicyEngine } from "./create-engine.ts";
import { DnsBindings } from "./dns-bindings.ts";
import type { Evidence, PolicyEngine } from "./verdict.ts";

const v4 = "93.184.216.34";
const cdn = "151.101.1.69";
const v6 = "2606:2800:220:1::1";
const gateways = [ip("172.16.0.1"), ip("fd42:6d73:62::1")];
const publicProfile = "deny/allow; allow host udp,tcp 53; allow public";

interface Row {
  readonly policy: string;
  /** `name=address`. */
  readonly bound?: readonly string[];
  /** `sni NAME` or `deferred`; by bindings when left out. */
  readonly evidence?: string;
  /** `[ingress] [protocol:]address[:port]`, to what is said of it; without a port 443. */
  readonly says: Readonly<Record<string, string>>;
}

const profiles: Readonly<Record<string, Row>> = {
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

const byBindings: Readonly<Record<string, Row>> = {
  "a bound name": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v4}`],
    says: { [v4]: "allow #0 example.org" },
  },
  "a rule's name in capitals and with a dot": {
    policy: "deny/allow; allow Example.Org.",
    bound: [`example.org=${v4}`],
    says: { [v4]: "allow #0 example.org" },
  },
  "a suffix": {
    policy: "deny/allow; allow .files.example.net",
    bound: [`files.files.example.net=${cdn}`],
    says: { [cdn]: "allow #0 files.files.example.net" },
  },
  "a suffix in capitals": {
    policy: "deny/allow; allow .Files.Example.Net.",
    bound: [`files.files.example.net=${cdn}`],
    says: { [cdn]: "allow #0 files.files.example.net" },
  },
  "the suffix itself": {
    policy: "deny/allow; allow .files.example.net",
    bound: [`files.example.net=${cdn}`],
    says: { [cdn]: "allow #0 files.example.net" },
  },
  "a suffix ends at a dot": {
    policy: "deny/allow; allow .files.example.net",
    bound: [`evilfiles.example.net=${cdn}`],
    says: { [cdn]: "deny" },
  },
  "no name is bound": { policy: "deny/allow; allow example.org", says: { [v4]: "deny" } },
  "another name is bound": {
    policy: "deny/allow; allow example.com",
    bound: [`example.org=${v4}`],
    says: { [v4]: "deny" },
  },
  "ICMP to a bound name": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v4}`],
    says: { [`icmpv4 ${v4}`]: "allow #0 example.org" },
  },
  "two names": {
    policy: "deny/allow; allow a.example tcp 443; allow b.example tcp 443",
    bound: [`a.example=${v4}`, `b.example=${cdn}`],
    says: { [v4]: "allow #0 a.example", [cdn]: "allow #1 b.example" },
  },
  "a name before the range that it shares": {
    policy: "deny/allow; allow example.org; deny 151.101.0.0/16",
    bound: [`example.org=${cdn}`],
    says: { [cdn]: "allow #0 example.org", "151.101.1.70": "deny #1" },
  },
  UDP: {
    policy: "deny/allow; allow example.org udp 443",
    bound: [`example.org=${v4}`],
    says: { [`udp ${v4}`]: "allow #0 example.org", [`tcp ${v4}`]: "deny" },
  },
  "a name that is bound for the other family": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v4}`],
    says: { [v6]: "deny", [`::ffff:${v4}`]: "allow #0 example.org" },
  },
  "a name that is denied": {
    policy: "allow/allow; deny evil.com",
    bound: [`evil.com=${v4}`],
    says: { [v4]: "deny #0 evil.com", [cdn]: "allow" },
  },
  "the first rule decides, whichever name was asked last": {
    policy: "deny/allow; allow a.example; allow b.example",
    bound: [`a.example=${v4}`, `b.example=${v4}`],
    says: { [v4]: "allow #0 a.example" },
  },
  "who comes in, by name": {
    policy: "deny/deny; allow ingress peer.example tcp 8080",
    bound: [`peer.example=${v4}`],
    says: { [`ingress ${v4} 8080`]: "allow #0 peer.example", [`ingress ${cdn} 8080`]: "deny", [v4]: "deny" },
  },
};

const bySni: Readonly<Record<string, Row>> = {
  "1: one of two names": {
    policy: "deny/allow; allow example.org",
    bound: [`evil.com=${v4}`, `example.org=${v4}`],
    evidence: "sni example.org",
    says: { [v4]: "allow #0 example.org" },
  },
  "2: another name is bound": {
    policy: "deny/allow; allow example.org",
    bound: [`evil.com=${v4}`],
    evidence: "sni example.org",
    says: { [v4]: "deny" },
  },
  "3: nothing is bound": {
    policy: "deny/allow; allow example.org",
    evidence: "sni example.org",
    says: { [v4]: "deny" },
  },
  "4: denied without being bound": {
    policy: "allow/allow; deny evil.com",
    evidence: "sni evil.com",
    says: { [v4]: "deny #0 evil.com" },
  },
  "5: denied by a suffix": {
    policy: "allow/allow; deny .evil.com",
    evidence: "sni a.evil.com",
    says: { [v4]: "deny #0 a.evil.com" },
  },
  "6: another name is said": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v4}`],
    evidence: "sni other.com",
    says: { [v4]: "deny" },
  },
  "7: a suffix": {
    policy: "deny/allow; allow .example.net",
    bound: [`files.example.net=${v4}`],
    evidence: "sni files.example.net",
    says: { [v4]: "allow #0 files.example.net" },
  },
  "8: a sibling is bound": {
    policy: "deny/allow; allow .example.net",
    bound: [`other.example.net=${v4}`],
    evidence: "sni files.example.net",
    says: { [v4]: "allow #0 files.example.net" },
  },
  "9: a suffix, and nothing is bound": {
    policy: "deny/allow; allow .example.net",
    evidence: "sni files.example.net",
    says: { [v4]: "deny" },
  },
  "a name that is not bound under a suffix that is": {
    policy: "deny/allow; allow files.example.net; allow .example.net",
    bound: [`other.example.net=${v4}`],
    evidence: "sni files.example.net",
    says: { [v4]: "allow #1 files.example.net" },
  },
  "a name that DNS has not told of does not hide one that it has": {
    policy: "allow/allow; deny evil.com",
    bound: [`evil.com=${v4}`, `good.example=${cdn}`],
    evidence: "sni good.example",
    says: { [v4]: "deny #0 evil.com", [cdn]: "allow", [v6]: "allow" },
  },
  "a name that shares its address with one that is denied": {
    policy: "allow/allow; deny evil.com",
    bound: [`evil.com=${cdn}`, `good.example=${cdn}`],
    evidence: "sni good.example",
    says: { [cdn]: "allow" },
  },
  "addresses decide by themselves": {
    policy: "deny/allow; deny 151.101.0.0/16; allow example.org; allow public",
    bound: [`example.org=${cdn}`],
    evidence: "sni example.org",
    says: { [cdn]: "deny #0", [v4]: "allow #2" },
  },
};

const deferred: Readonly<Record<string, Row>> = {
  "10: not bound": {
    policy: "deny/allow; allow example.org",
    evidence: "deferred",
    says: { [v4]: "deny" },
  },
  "10: bound": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v4}`],
    evidence: "deferred",
    says: { [v4]: "defer #0 example.org", [v6]: "deny", [`::ffff:${v4}`]: "defer #0 example.org" },
  },
  "11: IPv6": {
    policy: "deny/allow; allow example.org",
    bound: [`example.org=${v6}`],
    evidence: "deferred",
    says: { [v4]: "deny", [v6]: "defer #0 example.org" },
  },
  "12: denied in any case": {
    policy: "deny/deny; deny evil.com",
    evidence: "deferred",
    says: { [v4]: "deny" },
  },
  "13: allowed by default": {
    policy: "allow/allow; deny evil.com",
    evidence: "deferred",
    says: { [v4]: "defer" },
  },
  "14: allowed by a later range": {
    policy: "deny/deny; deny evil.com; allow 93.184.0.0/16",
    evidence: "deferred",
    says: { [v4]: "defer #1", [cdn]: "deny" },
  },
  "15: denied by a later range": {
    policy: "deny/deny; deny evil.com; deny 93.184.0.0/16; allow any",
    evidence: "deferred",
    says: { [v4]: "deny #1", [cdn]: "defer #2" },
  },
  "16: allowed by an earlier range": {
    policy: "deny/deny; allow 93.184.0.0/16; allow example.org",
    bound: [`example.org=${v4}`],
    evidence: "deferred",
    says: { [v4]: "allow #0" },
  },
  "17: denied by an earlier range": {
    policy: "allow/allow; deny 93.184.0.0/16; allow example.org",
    bound: [`example.org=${v4}`],
    evidence: "deferred",
    says: { [v4]: "deny #0" },
  },
  "18: a rule about another protocol or port": {
    policy: "deny/deny; allow example.org udp; allow example.org tcp 80",
    bound: [`example.org=${v4}`],
    evidence: "deferred",
    says: { [v4]: "deny", [`${v4} 80`]: "defer #1 example.org" },
  },
  "a name denied, then one allowed": {
    policy: "deny/deny; deny evil.com; allow example.org",
    bound: [`example.org=${v4}`],
    evidence: "deferred",
    says: { [v4]: "defer #1 example.org", [cdn]: "deny" },
  },
};

const filters: Readonly<Record<string, Row>> = {
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

const tables = {
  "19.1": profiles,
  "19.2": byBindings,
  "19.3": bySni,
  "19.3 deferred": deferred,
  "19.4": filters,
};

for (const [table, rows] of Object.entries(tables))
  for (const [title, row] of Object.entries(rows))
    test(`${table}: ${title}`, () => {
      const engine = engineFor(row);
      const said = Object.keys(row.says).map((flow) => [flow, decided(engine, flow, row.evidence)]);
      assert.deepEqual(Object.fromEntries(said), row.says);
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

function engineFor({ policy: text, bound = [] }: Row): PolicyEngine {
  const bindings = new DnsBindings();
  for (const pair of bound) {
    const [name = "", address = ""] = pair.split("=");
    bindings.bind(name, [ip(address)], 60);
  }
  return createPolicyEngine({ policy: policy(text), bindings, gateways, deploymentProfile: "single-tenant" });
}

/** `action #rule name`, without what is null. */
function decided(engine: PolicyEngine, flow: string, evidence?: string): string {
  const words = flow.split(" ");
  const isIngress = words[0] === "ingress";
  if (isIngress) words.shift();
  const protocols = ["tcp", "udp", "icmpv4", "icmpv6"] as const;
  const protocol = protocols.find((name) => name === words[0]);
  if (protocol !== undefined) words.shift();
  const [address = "", port = "443"] = words;
  const asked = {
    protocol: protocol ?? ("tcp" as const),
    address: ip(address),
    port: protocol?.startsWith("icmp") === true ? null : Number(port),
  };
  const { action, rule, name } = isIngress
    ? engine.ingress(asked)
    : engine.egress(asked, evidenceOf(evidence));
  return [action, rule === null ? "" : `#${rule}`, name ?? ""].filter((word) => word !== "").join(" ");
}

function evidenceOf(text: string | undefined): Evidence {
  if (text === undefined) return { kind: "bindings" };
  return text === "deferred" ? { kind: "deferred" } : { kind: "sni", name: text.replace("sni ", "") };
}
