/** Rules as text: every form, every mistake, and what is printed reads as the same. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../../errors/index.ts";
import type { Destination as DestinationValue, Rule as RuleValue } from "../policy-type.ts";
import { ruleTokens } from "./rule-text.ts";
import { parseRuleTokens } from "./rule-token.ts";
import { Destination, PortRange, Rule } from "./rules.ts";

const rule = (destination: DestinationValue, rest: Partial<RuleValue> = {}): RuleValue => ({
  ...Rule.allowEgress(destination),
  ...rest,
});
const group = Destination.group;
const tcp443 = { protocols: ["tcp"], ports: [PortRange.single(443)] } as const;

const read: readonly (readonly [text: string, ...rules: RuleValue[]])[] = [
  ["allow@public", rule(group("public"))],
  ["deny:any@host", rule(group("host"), { direction: "any", action: "deny" })],
  [
    "allow@public:tcp:80-443",
    rule(group("public"), { protocols: ["tcp"], ports: [PortRange.range(80, 443)] }),
  ],
  ["deny@198.51.100.5", rule(Destination.cidr("198.51.100.5/32"), { action: "deny" })],
  ["allow@10.0.0.0/8", rule(Destination.cidr("10.0.0.0/8"))],
  ["allow@10.1.2.3/8", rule(Destination.cidr("10.0.0.0/8"))],
  ["allow@example.com:tcp:443", rule(Destination.domain("example.com"), tcp443)],
  ["allow@Example.COM.", rule(Destination.domain("example.com"))],
  ["allow@suffix=corp.internal", rule(Destination.domainSuffix("corp.internal"))],
  ["deny@*.ads.example.com", rule(Destination.domainSuffix("ads.example.com"), { action: "deny" })],
  ["allow@domain=public", rule(Destination.domain("public"))],
  ["allow@domain=1.2.3.4", rule(Destination.domain("1.2.3.4"))],
  ["allow@meta", rule(group("metadata"))],
  ["allow@metadata", rule(group("metadata"))],
  ["allow@link-local:any:any", rule(group("link-local"))],
  ["allow@any:udp", rule(Destination.any(), { protocols: ["udp"] })],
  ["allow@any:any:53", rule(Destination.any(), { ports: [PortRange.single(53)] })],
  ["allow@dns", Rule.allowDns()],
  ["deny@dns", Rule.denyDns()],
  ["deny@dns:tcp", { ...Rule.denyDns(), protocols: ["tcp"] }],
  ["allow@dns:any:53", Rule.allowDns()],
  ["allow:egress@public:icmpv4", rule(group("public"), { protocols: ["icmpv4"] })],
  ["allow@[2001:db8::1]:tcp:443", rule(Destination.cidr("2001:db8::1/128"), tcp443)],
  [
    "deny@[2001:db8::/32]:tcp",
    rule(Destination.cidr("2001:db8::/32"), { protocols: ["tcp"], action: "deny" }),
  ],
  [
    "allow@[::1]:tcp:22",
    rule(Destination.cidr("::1/128"), { protocols: ["tcp"], ports: [PortRange.single(22)] }),
  ],
  [
    "allow:ingress@private:tcp:8000-8999",
    rule(group("private"), {
      ...{ direction: "ingress", protocols: ["tcp"], ports: [PortRange.range(8000, 8999)] },
    }),
  ],
  ["allow@public,, allow@private", rule(group("public")), rule(group("private"))],
  [""],
  [" , "],
];

describe("rules that are read", () => {
  for (const [text, ...rules] of read)
    test(JSON.stringify(text), () => {
      assert.deepEqual(parseRuleTokens(text), rules);
      const printed = rules.flatMap(ruleTokens);
      assert.deepEqual(parseRuleTokens(printed.join(",")), rules);
    });
});

/** With a part of the message or of the hint. */
const refused: readonly (readonly [text: string, words: string])[] = [
  ["deny@*.com", "too broad"],
  ["deny@suffix=local", "too broad"],
  ["allow@*", "ambiguous"],
  ["allow:ingress@dns", "egress"],
  ["allow@dns:icmpv4", "port 53"],
  ["allow@dns:udp:5353", "port 53"],
  ["allow@dns:udp:53-54", "port 53"],
  ["allow public", "no @"],
  ["alow@public", '"allow"'],
  ["allow:iingress@public", '"ingress"'],
  ["allow@piublic", '"public"'],
  ["allow@public:tpc:443", '"tcp"'],
  ["allow:ingress@public:icmpv4:any", "egress only"],
  ["allow:any@public:icmpv6", "egress only"],
  ["allow@public:icmpv4:7", "ICMP has none"],
  ["allow@public:tcp:443-80", "invalid port range 443..80"],
  ["allow@public:tcp:65536", "65536"],
  ["allow@public:tcp:https", "no port"],
  ["allow@public:tcp:443:extra", "too many fields"],
  ["allow:egress:any@public", "too many fields"],
  ["allow@[192.0.2.1]:tcp", "no IPv6 address"],
  ["allow@[example.com]", "no IPv6 address"],
  ["allow@[2001:db8::1:tcp:443", "not closed"],
  ["allow@[2001:db8::1]xyz", "after the bracket"],
  ["allow@2001:db8::1", "brackets"],
  ["allow@::1", "brackets"],
  ["allow@2001:db8::/32:tcp", "brackets"],
  ["allow@example.com:443", "example.com:tcp:443"],
  ["allow@example.com:80-443", "example.com:tcp:80-443"],
  ["allow@[2001:db8::1]:443", "Write [2001:db8::1]:tcp:443."],
  ["allow@localhost", "domain=localhost"],
  ["allow@1.2.3", "no address"],
  ["allow@010.0.0.1", "no address"],
  ["allow@10.0.0.0/33", "no address"],
  ["allow@exa mple.com", "space"],
  ["allow@https://example.com", "URL"],
  ["allow@user@example.com", "URL"],
  ["allow@", "no target"],
  ["@public", "action"],
  ["allow@domain=", "empty"],
];

describe("rules that are refused", () => {
  for (const [text, words] of refused)
    test(JSON.stringify(text), () => {
      assert.throws(
        () => parseRuleTokens(text),
        (error: unknown) => {
          assert.ok(error instanceof InvalidConfigError, String(error));
          assert.ok(`${error.message} ${error.hint}`.includes(words), `${error.message} ${error.hint}`);
          assert.notEqual(error.hint, "");
          return true;
        },
      );
    });
});

test("a rule with several protocols and ports is as many tokens; one that matches nothing is none", () => {
  const several = rule(Destination.domain("example.com"), {
    protocols: ["tcp", "udp"],
    ports: [PortRange.single(80), PortRange.range(443, 444)],
  });
  assert.deepEqual(ruleTokens(several), [
    "allow@example.com:tcp:80",
    "allow@example.com:tcp:443-444",
    "allow@example.com:udp:80",
    "allow@example.com:udp:443-444",
  ]);
  assert.deepEqual(
    ruleTokens(rule(group("public"), { protocols: ["icmpv4"], ports: [PortRange.single(1)] })),
    [],
  );
  assert.deepEqual(ruleTokens(rule(group("public"), { protocols: ["icmpv4"], direction: "ingress" })), []);
});
