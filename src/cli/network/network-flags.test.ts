import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NetworkPolicy, withFirstRules } from "../../config/network/policy/network-policy.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import type { NetworkSettings } from "../../config/network/network-settings.ts";
import type { NetworkPolicy as Policy } from "../../config/network/policy-type.ts";
import { create } from "../commands/sandbox/create.ts";
import { quickParse } from "../grammar/quick-parse.ts";
import { UsageError } from "../output/usage-error.ts";
import { networkFlags, sayNetwork, type NetworkFlagValues } from "./network-flags.ts";
import { parsePort } from "./port.ts";

/** What a command line says. */
function said(line: string): NetworkSettings {
  const parsed = quickParse(create, line === "" ? [] : line.split(" "), null);
  assert.ok(parsed !== null, line);
  return sayNetwork(new NetworkBuilder(), parsed.options as NetworkFlagValues).build();
}

const open: Policy = { defaultEgress: "deny", defaultIngress: "allow", rules: [] };
const [first, second] = ["deny@192.0.2.1", "allow@10.0.0.0/8:tcp:22"] as const;
const rules = parseRuleTokens(`${first},${second}`);
const profiles = NetworkPolicy.fromProfiles;

const combinations: readonly (readonly [line: string, policy: Policy | null])[] = [
  ["", null],
  ["--net public", profiles(["public"])],
  ["--net host,public", profiles(["public", "host"])],
  ["--net public,,private", profiles(["public", "private"])],
  ["--net all", NetworkPolicy.allowAll()],
  ["--net none", NetworkPolicy.none()],
  ["--no-net", NetworkPolicy.none()],
  [`--net-rule ${first} --net-rule ${second}`, withFirstRules(NetworkPolicy.publicOnly(), rules)],
  [`--net private --net-rule ${first},${second}`, withFirstRules(profiles(["private"]), rules)],
  [`--net none --net-rule ${first},${second}`, withFirstRules(NetworkPolicy.none(), rules)],
  [`--net all --net-rule ${first},${second}`, withFirstRules(NetworkPolicy.allowAll(), rules)],
  ["--net-default allow", NetworkPolicy.allowAll()],
  ["--net-default deny", NetworkPolicy.none()],
  ["--net-default-egress allow", { ...open, defaultEgress: "allow" }],
  ["--net-default-ingress deny", { ...open, defaultIngress: "deny" }],
  [`--net-default-egress deny --net-rule ${first},${second}`, { ...open, rules }],
  [
    `--net-rule allow@dns --deny-domain Ads.example.com --deny-domain-suffix .example.net`,
    withFirstRules(
      NetworkPolicy.publicOnly(),
      parseRuleTokens("deny@ads.example.com,deny@suffix=example.net,allow@dns"),
    ),
  ],
];

describe("the policy of", () => {
  for (const [line, policy] of combinations)
    test(line === "" ? "no option" : line, () => {
      assert.deepEqual(said(line).policy, policy);
    });
});

for (const line of [
  "--net public --net-default deny",
  "--net public --net-default-ingress deny",
  "--no-net --net-default-egress allow",
  "--no-net --net-rule allow@any",
  "--no-net --deny-domain example.com",
  "--net-default allow --net-default-egress deny",
  "--net-egress-bandwidth-burst 5",
]) {
  test(`${line} contradicts itself, or cannot be`, () => {
    assert.throws(() => said(line), UsageError);
  });
}

test("options with a value that is none are left to commander", () => {
  for (const line of [
    ...["--net=", "--net ,", "--net all,public", "--net pubic", "--net-rule=", "--net-default maybe"],
    ...["--max-connections 4097", "--net-mtu 1279", "--deny-domain-suffix com", "--net-egress-ops 1.5"],
    ...[
      "--net-egress-bandwidth 1M/0s",
      "--net-egress-bandwidth x",
      "-p 80",
      "-p 80:0",
      "-p 1.2.3:80:80",
      "-p 80:80/sctp",
    ],
    ...["-p ::1:80:80", "-p 65536:80", "--proxy socks5://me:hunter2@h:1", "--proxy ftp://h:1"],
    ...["--dns-nameserver dns:notaport", "--net-ipv4-pool 10.0.0.0/31", "--net-ipv6-pool 10.0.0.0/8"],
    ...["--dns-max-queries-per-minute 0", "--dns-max-name-length 254"],
    ...["--net public --no-net", "--no-net --net public"],
  ])
    assert.equal(quickParse(create, line.split(" "), null), null, line);
});

test("a rate of nothing, and a burst without its rate, are refused with what to do on the command line", () => {
  for (const [line, message, hint] of [
    [
      "--net-egress-bandwidth 0",
      /^egress rate limiter: bandwidth bucket: size must be greater than zero/,
      /policy/,
    ],
    ["--net-ingress-ops 0/1s", /^ingress rate limiter: ops bucket: size must be greater than zero/, /policy/],
    [
      "--net-ingress-ops-burst 5",
      /^ingress rate limiter: ops_burst requires the ops bucket/,
      /^Give --net-ingress-ops too$/,
    ],
    [
      "--net-egress-bandwidth-burst 5",
      /^egress .* requires the bandwidth bucket/,
      /--net-egress-bandwidth too/,
    ],
  ] as const)
    assert.throws(
      () => said(line),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        assert.match(error.hint, hint);
        return true;
      },
    );
});

test("more connections than there may be are refused in the words of the builder", () => {
  const { parse } = networkFlags.maxConnections;
  assert.throws(() => parse("5000"), UsageError);
  assert.throws(() => parse("5000"), /max_connections 5000 exceeds hard limit 4096/);
  assert.deepEqual([parse("1"), parse("4096")], [1, 4096]);
});

test("rates, limits and names", () => {
  const settings = said(
    [
      "--net-egress-bandwidth 1M/1s --net-egress-bandwidth-burst 64K --net-egress-ops 1000",
      "--net-ingress-ops 5/100ms --net-ingress-ops-burst 3 --max-connections 9 --net-mtu 1500",
      "--dns-max-queries-per-minute 60 --dns-max-name-length 100",
      "--dns-nameserver 1.1.1.1 --dns-nameserver [2606::1]:53 --dns-query-timeout-ms 100",
      "--no-dns-rebind-protection --net-ipv4-pool 10.0.0.0/8 --net-ipv6-pool fd00::/32 --net-observe",
    ].join(" "),
  );
  assert.deepEqual(settings.rateLimiter, {
    egress: {
      bandwidth: { size: 1_048_576, refillTimeMs: 1000, oneTimeBurst: 65_536 },
      ops: { size: 1000, refillTimeMs: 1000, oneTimeBurst: 0 },
    },
    ingress: { bandwidth: null, ops: { size: 5, refillTimeMs: 100, oneTimeBurst: 3 } },
  });
  assert.deepEqual([settings.maxConnections, settings.interface?.mtu, settings.observe], [9, 1500, true]);
  assert.deepEqual([settings.interface?.ipv4Pool, settings.interface?.ipv6Pool], ["10.0.0.0/8", "fd00::/32"]);
  assert.deepEqual(settings.dns?.nameservers, ["1.1.1.1", "[2606::1]:53"]);
  assert.deepEqual([settings.dns.queryTimeoutMs, settings.dns.rebindProtection], [100, false]);
  assert.deepEqual([settings.dns.maxQueriesPerMinute, settings.dns.maxNameLength], [60, 100]);
});

test("--vsock is refused by name", () => {
  assert.throws(() => said("--vsock /tmp/a:5"), /--vsock/);
});

test("ports", () => {
  const usual = { hostBind: "127.0.0.1", protocol: "tcp", proxyProtocol: false };
  for (const [text, port] of [
    ["8080:80", { ...usual, hostPort: 8080, guestPort: 80 }],
    ["0:80/tcp", { ...usual, hostPort: 0, guestPort: 80 }],
    ["5353:53/udp", { ...usual, hostPort: 5353, guestPort: 53, protocol: "udp" }],
    ["0.0.0.0:1:2", { ...usual, hostBind: "0.0.0.0", hostPort: 1, guestPort: 2 }],
    ["[::]:1:2/udp", { ...usual, hostBind: "::", hostPort: 1, guestPort: 2, protocol: "udp" }],
    ["1:2,proxy-protocol", { ...usual, hostPort: 1, guestPort: 2, proxyProtocol: true }],
  ] as const)
    assert.deepEqual(parsePort(text), port, text);
  for (const text of ["", "80", ":80:80", "a:80:80", "[1.2.3.4:80:80", "1:2/udp,proxy-protocol", "1:2:3:4"])
    assert.throws(() => parsePort(text), UsageError, text);
});
