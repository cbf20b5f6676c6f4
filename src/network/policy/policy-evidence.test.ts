import { test } from "node:test";
import { holds, type PolicyRow } from "../../../test/support/policy-rows.ts";

const v4 = "93.184.216.34";
const cdn = "151.101.1.69";
const v6 = "2606:2800:220:1::1";

const byBindings: Readonly<Record<string, PolicyRow>> = {
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

const bySni: Readonly<Record<string, PolicyRow>> = {
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

const deferred: Readonly<Record<string, PolicyRow>> = {
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

const tables = { "19.2": byBindings, "19.3": bySni, "19.3 deferred": deferred };

for (const [table, rows] of Object.entries(tables))
  for (const [title, row] of Object.entries(rows))
    test(`${table}: ${title}`, () => {
      holds(row);
    });
