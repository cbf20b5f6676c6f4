import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { draftFromConfig, type SandboxConfigInput } from "../sandbox/config-object.ts";
import { effectiveConfig } from "../sandbox/effective-config.ts";
import type { SecretInput } from "./interception/builders/secret-object.ts";
import { networkNotices } from "./network-notices.ts";
import type { NetworkObject } from "./network-object.ts";
import { NetworkPolicy, withFirstRules } from "./policy/network-policy.ts";
import { parseRuleTokens } from "./policy/rule-token.ts";
import { Destination, Rule } from "./policy/rules.ts";

const notices = (fields: Partial<SandboxConfigInput>): string[] =>
  networkNotices(
    effectiveConfig(
      draftFromConfig({ name: "notices", image: "localhost/base", ...fields }).finish(),
      {},
      null,
    ),
  );

test("what is as usual is worth no word", () => {
  assert.deepEqual(notices({}), []);
  assert.deepEqual(notices({ disableNetwork: true }), []);
  assert.deepEqual(notices({ ports: [{ hostBind: "::1", hostPort: 1, guestPort: 1 }, [8080, 80]] }), []);
});

test("rules that are never reached are told, with the rule that covers them", () => {
  const rules = [
    { action: "allow", destination: "*" },
    { action: "deny", destination: "public", protocol: "tcp", port: "25" },
  ] as const;
  assert.deepEqual(notices({ network: { rules } }), [
    "network rule 2 (deny@public:tcp:25) is never reached: rule 1 (allow@any) covers it",
  ]);
  const many = [rules[0], ...new Array<(typeof rules)[1]>(8).fill(rules[1])];
  assert.equal(notices({ network: { rules: many } }).length, 6);
});

test("rules that came with profiles are told of by nobody's mistake", () => {
  const own = [Rule.allowEgress(Destination.group("host")), Rule.allowEgress(Destination.any())];
  for (const profiles of [["public"], ["public", "private", "host"]] as const) {
    const policy = withFirstRules(NetworkPolicy.fromProfiles(profiles), own);
    assert.deepEqual(notices({ network: { policy } }), []);
    // One of the user's own is told all the same.
    const more = withFirstRules(policy, [Rule.denyAny(Destination.any())]);
    assert.deepEqual(
      notices({ network: { policy: more } }).map((text) => text.slice(0, 15)),
      ["network rule 2 ", "network rule 3 "],
    );
  }
});

test("rules that a tenant's platform leaves without effect are told", () => {
  const rules = [
    Rule.allowEgress(Destination.group("private")),
    Rule.allowEgress(Destination.cidr("8.8.8.8/32")),
  ];
  const tenant = {
    deploymentProfile: "multi-tenant",
    network: { policy: { ...NetworkPolicy.none(), rules } },
  } as const;
  assert.deepEqual(notices(tenant), [
    "network rule 1 (allow@private) has no effect: a multi-tenant sandbox reaches nothing but public addresses",
  ]);
  assert.deepEqual(notices({ network: tenant.network }), []);
});

test("ports that other computers reach are told", () => {
  const ports = [{ hostBind: "0.0.0.0", hostPort: 8080, guestPort: 80 }];
  assert.deepEqual(notices({ ports }), [
    "port 80/tcp of the guest is offered at 0.0.0.0: other computers reach it",
  ]);
});

describe("what keeps a secret from its hosts, or gives it to others, is told", () => {
  const secret = (...hosts: string[]): SecretInput => ({
    envVar: "KEY",
    source: { kind: "env", var: "KEY" },
    allowHosts: hosts.filter((host) => !host.startsWith("*")),
    allowHostPatterns: hosts.filter((host) => host.startsWith("*.")),
    allowAnyHost: hosts.includes("*"),
  });
  const rules = (...tokens: string[]): Pick<NetworkObject, "policy"> => ({
    policy: { defaultEgress: "deny", defaultIngress: "allow", rules: parseRuleTokens(tokens.join(",")) },
  });
  const unreached = (host: string): string =>
    `the policy lets nobody reach ${host}, which may have the secret KEY`;
  for (const [what, network, expected] of [
    ["as usual", { secrets: [secret("api.example.com", "*.example.org", "*")] }, []],
    ["denied", { ...rules("allow@dns"), secrets: [secret("a.b", "*")] }, [unreached("a.b")]],
    ["no network at all", { ...rules(), secrets: [secret("*")] }, [unreached("*")]],
    ["observed", { ...rules(), observe: true, secrets: [secret("a.b")] }, []],
    ["allowed by name", { ...rules("allow@a.b:tcp:443"), secrets: [secret("a.b")] }, []],
    [
      "allowed by name on another port",
      { ...rules("allow@a.b:tcp:80"), secrets: [secret("a.b")] },
      [unreached("a.b")],
    ],
    [
      "allowed on that port",
      { ...rules("allow@a.b:tcp:8443"), tls: { interceptedPorts: [443, 8443] }, secrets: [secret("a.b")] },
      [],
    ],
    ["allowed by UDP", { ...rules("allow@a.b:udp"), secrets: [secret("a.b")] }, [unreached("a.b")]],
    [
      "denied by name first",
      { ...rules("deny@*.b.c", "allow@any"), secrets: [secret("a.b.c", "b.d")] },
      [unreached("a.b.c")],
    ],
    ["some names of it", { ...rules("allow@x.b.c"), secrets: [secret("*.b.c")] }, []],
    [
      "perhaps by its address",
      { ...rules("deny@private", "allow@10.0.0.0/8"), secrets: [secret("a.b")] },
      [],
    ],
    [
      "bypassed",
      { tls: { bypass: ["*.b.c"] }, secrets: [secret("a.b.c", "*.b.c", "*.c.d")] },
      [
        "the secret KEY is never put in on the way to a.b.c: its TLS is bypassed",
        "the secret KEY is never put in on the way to *.b.c: its TLS is bypassed",
      ],
    ],
    ["a bypassed name of a pattern", { tls: { bypass: ["b.c"] }, secrets: [secret("*.b.c")] }, []],
    [
      "unproved",
      {
        tls: { verifyUpstream: false, scopedVerifyUpstream: [{ pattern: "*.b.c", verify: true }] },
        secrets: [secret("a.b.c", "b.d")],
      },
      ["b.d need not prove who it is, and may have the secret KEY"],
    ],
    [
      "a short placeholder",
      { secrets: [{ ...secret("a.b"), placeholder: "$KEY" }] },
      ["the placeholder of KEY is so short that it may be in what is sent by chance"],
    ],
    [
      "rules about requests",
      { tls: { bypass: ["a.b"] }, http: { rules: [{ action: "deny", host: "a.b" }, { action: "deny" }] } },
      ["rules about requests to a.b do nothing: its TLS is bypassed"],
    ],
  ] as const)
    test(what, () => {
      assert.deepEqual(notices({ network: network }), expected);
    });
});
