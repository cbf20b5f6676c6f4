/** Policies: the ready-made ones, the builder, JSON of other programs, and what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../../errors/index.ts";
import type { NetworkPolicy as Policy, Rule as RuleValue } from "../policy-type.ts";
import { checkPolicy } from "./check-policy.ts";
import { NetworkPolicy } from "./network-policy.ts";
import { NetworkPolicyBuilder } from "./policy-builder.ts";
import { policyFromWire, policyToWire } from "./wire-policy.ts";
import { Destination, PortRange, Rule } from "./rules.ts";

type Build = (builder: NetworkPolicyBuilder) => NetworkPolicyBuilder;
const made = (build: Build): Policy => build(new NetworkPolicyBuilder()).build();
/** `allow egress group public tcp 443`. */
const brief = ({ action, direction, destination, protocols, ports }: RuleValue): string =>
  [
    action,
    direction,
    ...Object.values(destination),
    ...protocols,
    ...ports.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`)),
  ].join(" ");

test("profiles", () => {
  const policy = NetworkPolicy.fromProfiles(["host", "private", "public", "private"]);
  assert.deepEqual([policy.defaultEgress, policy.defaultIngress], ["deny", "allow"]);
  assert.deepEqual(policy.rules.map(brief), [
    "allow egress group host udp tcp 53",
    "allow egress group public",
    "allow egress group private",
    "allow egress group host",
  ]);
  assert.deepEqual(NetworkPolicy.fromProfiles([]), {
    defaultEgress: "deny",
    defaultIngress: "allow",
    rules: [],
  });
  assert.throws(() => NetworkPolicy.fromProfiles(["lan" as "host"]), {
    name: "RangeError",
    message: "unknown network profile: lan",
  });
  assert.deepEqual(NetworkPolicy.publicOnly(), NetworkPolicy.fromProfiles(["public"]));
  assert.deepEqual(NetworkPolicy.nonLocal(), NetworkPolicy.fromProfiles(["public", "private"]));
  assert.deepEqual({ ...Rule.denyDns(), action: "allow" }, Rule.allowDns());
});

const built: readonly (readonly [what: string, build: Build, defaults: string, ...rules: string[]])[] = [
  ["nothing", (b) => b, "deny/allow"],
  ["defaults by direction", (b) => b.defaultDeny().defaultIngress("allow"), "deny/allow"],
  ["all", (b) => b.defaultAllow(), "allow/allow"],
  [
    "several adders in one function",
    (b) => b.egress((r) => r.tcp().port(443).allowPublic().allowPrivate()),
    "deny/allow",
    "allow egress group public tcp 443",
    "allow egress group private tcp 443",
  ],
  [
    "what was said so far",
    (b) => b.egress((r) => r.tcp().port(443).allowPublic().udp().denyPrivate()),
    "deny/allow",
    "allow egress group public tcp 443",
    "deny egress group private tcp udp 443",
  ],
  [
    "a new function starts clean",
    (b) => b.egress((r) => r.tcp().allowPublic()).any((r) => r.denyMeta()),
    "deny/allow",
    "allow egress group public tcp",
    "deny any group metadata",
  ],
  [
    "local",
    (b) => b.ingress((r) => r.allowLocal()).egress((r) => r.denyLocal()),
    "deny/allow",
    ...["loopback", "link-local", "host"].map((name) => `allow ingress group ${name}`),
    ...["loopback", "link-local", "host"].map((name) => `deny egress group ${name}`),
  ],
  [
    "an address",
    (b) => b.egress((r) => r.allow((d) => d.ip("198.51.100.5")).deny((d) => d.ip("2001:DB8::1"))),
    "deny/allow",
    "allow egress cidr 198.51.100.5/32",
    "deny egress cidr 2001:db8::1/128",
  ],
  [
    "the last call of a destination",
    (b) => b.egress((r) => r.allow((d) => d.ip("wrong").cidr("10.1.1.1/8").domain("A.example.").any())),
    "deny/allow",
    "allow egress any",
  ],
  ["a destination that is not said", (b) => b.egress((r) => r.allow((d) => d)), "deny/allow"],
  [
    "names",
    (b) =>
      b.egress((r) =>
        r
          .tcp()
          .port(443)
          .denyDomains(["a.example.com", "b.example.com"])
          .allowDomainSuffixes([".Example.net."]),
      ),
    "deny/allow",
    "deny egress domain a.example.com tcp 443",
    "deny egress domain b.example.com tcp 443",
    "allow egress domainSuffix example.net tcp 443",
  ],
  ["an empty list of names", (b) => b.egress((r) => r.denyDomains([])), "deny/allow"],
  [
    "a protocol twice",
    (b) => b.egress((r) => r.tcp().tcp().allowPublic()),
    "deny/allow",
    "allow egress group public tcp",
  ],
  [
    "ports twice",
    (b) => b.egress((r) => r.ports([80, 443, 80]).portRange(8000, 9000).port(443).allowPublic()),
    "deny/allow",
    "allow egress group public 80 443 8000-9000",
  ],
  [
    "a direction that is said inside",
    (b) => b.rule((r) => r.ingress().allowPrivate().any().denyMulticast()),
    "deny/allow",
    "allow ingress group private",
    "deny any group multicast",
  ],
  [
    "any and then a group",
    (b) => b.egress((r) => r.allow((d) => d.any()).denyPublic()),
    "deny/allow",
    "allow egress any",
    "deny egress group public",
  ],
  [
    "names in general",
    (b) => b.allowDns().denyDns(),
    "deny/allow",
    ...["allow", "deny"].map((a) => `${a} egress group host udp tcp 53`),
  ],
];

describe("the builder makes", () => {
  for (const [what, build, defaults, ...rules] of built)
    test(what, () => {
      const policy = made(build);
      assert.equal(`${policy.defaultEgress}/${policy.defaultIngress}`, defaults);
      assert.deepEqual(policy.rules.map(brief), rules);
      assert.deepEqual(checkPolicy("policy", policy), policy);
      assert.deepEqual(policyFromWire(JSON.stringify(policyToWire(policy))), policy);
    });
});

/** What is wrong, and whether it is told at once. */
const mistakes: readonly (readonly [what: RegExp, build: Build, when: "at once" | "at build"])[] = [
  [
    /invalid port range 443\.\.80; lo must be <= hi/,
    (b) => b.egress((r) => r.portRange(443, 80).allowPublic()),
    "at build",
  ],
  [
    /rule #1: direction not set; /,
    (b) => b.egress((r) => r.allowPublic()).rule((r) => r.allowPublic()),
    "at build",
  ],
  [/ICMP is egress only/, (b) => b.ingress((r) => r.icmpv4().allowPublic()), "at build"],
  [/ICMP is egress only/, (b) => b.any((r) => r.icmpv6().allowPublic()), "at build"],
  [
    /rule #0 has a port, and ICMP has none/,
    (b) => b.egress((r) => r.icmpv4().icmpv6().port(7).allowPublic()),
    "at build",
  ],
  // A function that chooses nothing makes no rule that would count.
  [
    /rule #0: direction not set; /,
    (b) =>
      b.rule((r) =>
        r
          .allow((d) => d)
          .deny((d) => d)
          .allowPublic(),
      ),
    "at build",
  ],
  [/invalid IP address `10\.0\.0`/, (b) => b.egress((r) => r.allow((d) => d.ip("10.0.0"))), "at build"],
  [
    /invalid IP address `010\.0\.0\.1`/,
    (b) => b.egress((r) => r.allow((d) => d.ip("010.0.0.1"))),
    "at build",
  ],
  [
    /invalid CIDR `10\.0\.0\.0\/33`/,
    (b) => b.egress((r) => r.allow((d) => d.cidr("10.0.0.0/33"))),
    "at build",
  ],
  [/invalid domain `exa mple\.com`: /, (b) => b.egress((r) => r.denyDomain("exa mple.com")), "at build"],
  [
    /invalid domain `example\.com:443`: /,
    (b) => b.egress((r) => r.denyDomain("example.com:443")),
    "at build",
  ],
  [
    /invalid domain `user@example\.com`: /,
    (b) => b.egress((r) => r.denyDomain("user@example.com")),
    "at build",
  ],
  [
    /invalid domain `https:\/\/example\.com`: /,
    (b) => b.egress((r) => r.denyDomain("https://example.com")),
    "at build",
  ],
  [/invalid domain `a\?b`: /, (b) => b.egress((r) => r.denyDomain("a?b")), "at build"],
  [/invalid domain `\.\.\.`: it is empty/, (b) => b.egress((r) => r.denyDomain("...")), "at build"],
  [/invalid domain `com`: .*too broad/, (b) => b.egress((r) => r.allowDomainSuffix("com")), "at build"],
  [
    /invalid domain `\.local\.`: .*too broad/,
    (b) => b.egress((r) => r.allow((d) => d.domainSuffix(".local."))),
    "at build",
  ],
  [/65536/, (b) => b.egress((r) => r.port(65_536)), "at once"],
  [/-1/, (b) => b.egress((r) => r.portRange(-1, 5)), "at once"],
  [/80\.5/, (b) => b.egress((r) => r.ports([80.5])), "at once"],
  [
    /unknown destination group "lan"/,
    (b) => b.egress((r) => r.allow((d) => d.group("lan" as "host"))),
    "at once",
  ],
  [/unknown action "maybe"/, (b) => b.defaultEgress("maybe" as "deny"), "at once"],
  [/does not return its argument/, (b) => b.egress(() => undefined as never), "at once"],
];

describe("the builder refuses", () => {
  for (const [what, build, when] of mistakes)
    test(`${String(what)} ${when}`, () => {
      const refusal = (error: unknown): boolean => {
        assert.ok(error instanceof InvalidConfigError, String(error));
        assert.match(error.message, what);
        return true;
      };
      const builder = new NetworkPolicyBuilder();
      if (when === "at once") assert.throws(() => build(builder), refusal);
      else assert.throws(() => build(builder).build(), refusal);
    });
});

const wire = {
  default_egress: "deny",
  default_ingress: "allow",
  rules: [
    {
      direction: "egress",
      destination: { domain: "Example.Org." },
      protocols: ["tcp"],
      ports: [{ start: 443, end: 443 }],
      action: "allow",
    },
    { direction: "any", destination: { domain_suffix: ".com" }, protocols: [], ports: [], action: "deny" },
    { direction: "ingress", destination: { group: "link_local" }, action: "deny" },
    { direction: "egress", destination: { cidr: "10.1.2.3/8" }, action: "allow" },
    { direction: "egress", destination: "any", action: "allow" },
  ],
};

test("JSON of other programs", () => {
  const policy = policyFromWire(wire);
  assert.deepEqual(policy.rules.map(brief), [
    "allow egress domain example.org tcp 443",
    // Not refused here.
    "deny any domainSuffix com",
    "deny ingress group link-local",
    "allow egress cidr 10.0.0.0/8",
    "allow egress any",
  ]);
  // Rules that never match are not refused either.
  const icmp = { direction: "any", destination: "any", protocols: ["icmpv4"], ports: [{ start: 1, end: 2 }] };
  assert.equal(policyFromWire({ rules: [{ ...icmp, action: "deny" }] }).rules.length, 1);
  const again = JSON.stringify(policyToWire(policy));
  for (const key of again.matchAll(/"(\w+)":/g)) assert.match(key[1] ?? "", /^[a-z_]+$/);
  assert.ok(again.includes('"link_local"') && again.includes('"domain_suffix"'));
  assert.deepEqual(policyFromWire(again), policy);
  // What is missing is deny.
  assert.deepEqual(policyFromWire("{}"), NetworkPolicy.none());
  const rule = (change: object): object => ({ rules: [{ ...wire.rules[4], ...change }] });
  for (const wrong of [
    ...["{", "[]", "null", { defaultEgress: "deny" }, { default_egress: "maybe" }, { rules: {} }],
    ...[rule({ destination: {} }), rule({ destination: { cidr: "10.0.0.0/8", group: "host" } })],
    ...[rule({ destination: { group: "lan" } }), rule({ direction: "out" }), rule({ protocols: ["sctp"] })],
    ...[
      rule({ ports: [{ start: 5, end: 4 }] }),
      rule({ ports: [5] }),
      rule({ port: 5 }),
      rule({ action: "drop" }),
    ],
  ])
    assert.throws(() => policyFromWire(wrong), InvalidConfigError, JSON.stringify(wrong));
});

test("a policy that was made by hand is checked", () => {
  const rule = Rule.allowEgress(Destination.cidr("10.0.0.0/8"));
  const policy = (change: object): unknown => ({ ...NetworkPolicy.none(), rules: [{ ...rule, ...change }] });
  assert.deepEqual(checkPolicy("policy", policy({ destination: Destination.domain("A.Example.") })), {
    ...NetworkPolicy.none(),
    rules: [Rule.allowEgress(Destination.domain("a.example"))],
  });
  for (const wrong of [
    ...[policy({ ports: [PortRange.range(2, 1)] }), policy({ ports: [PortRange.single(70_000)] })],
    ...[
      policy({ destination: { kind: "all" } }),
      policy({ destination: "any" }),
      policy({ directon: "any" }),
    ],
    ...[policy({ destination: Destination.cidr("10.0.0/8") }), policy({ protocols: "tcp" }), "none", null],
    ...[policy({ protocols: ["tcp", "icmpv4"], direction: "any" })],
    ...[policy({ protocols: ["icmpv4"], ports: [PortRange.single(1)] })],
  ])
    assert.throws(() => checkPolicy("policy", wrong), InvalidConfigError, JSON.stringify(wrong));
});
