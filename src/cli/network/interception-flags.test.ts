import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import { settingsOf, type NetworkSettings } from "../../config/network/network-settings.ts";
import { create } from "../commands/sandbox/create.ts";
import { quickParse } from "../grammar/quick-parse.ts";
import { UsageError } from "../output/usage-error.ts";
import { describeInterception } from "./interception-text.ts";
import { sayNetwork, type NetworkFlagValues } from "./network-flags.ts";

/** What a command line says. */
function said(line: string): NetworkSettings {
  const parsed = quickParse(create, line === "" ? [] : line.split(" "), null);
  assert.ok(parsed !== null, line);
  return settingsOf(sayNetwork(new NetworkBuilder(), parsed.options as NetworkFlagValues).asked());
}

test("interception", () => {
  assert.equal(said("").tls, null);
  assert.deepEqual(said("--tls-intercept").tls?.interceptedPorts, [443]);
  const { tls, trustHostCAs, strict } = said(
    [
      "--tls-intercept-port 443 --tls-intercept-port 8443 --tls-bypass *.Bank.example --no-block-quic",
      "--tls-intercept-ca-cert /a.crt --tls-intercept-ca-key /a.key --tls-upstream-ca-cert /b.pem",
      "--tls-upstream-ca-cert-for *.internal=/c=d.pem --tls-no-verify-upstream-for old.example.com",
      "--trust-host-cas --net-strict",
    ].join(" "),
  );
  assert.deepEqual(tls, {
    interceptedPorts: [443, 8443],
    bypass: ["*.bank.example"],
    verifyUpstream: null,
    scopedVerifyUpstream: [{ pattern: "old.example.com", verify: false }],
    upstreamCaCertPaths: ["/b.pem"],
    scopedUpstreamCaCerts: [{ pattern: "*.internal", path: "/c=d.pem" }],
    blockQuic: false,
    interceptCaCertPath: "/a.crt",
    interceptCaKeyPath: "/a.key",
  });
  assert.deepEqual([trustHostCAs, strict], [true, true]);
  for (const line of [
    ...["--tls-bypass a.example.com", "--no-block-quic", "--block-quic", "--tls-upstream-ca-cert /a"],
    ...["--tls-upstream-ca-cert-for a.b=/a", "--tls-no-verify-upstream-for a.b", "--tls-intercept-port 8443"],
    ...["--secret A@a.b", "--http-rule deny@*"],
  ])
    assert.ok(said(line).tls !== null, line);
});

test("secrets have the value that the variable has here", () => {
  const { secrets, secretViolation } = said(
    "--secret API_KEY@api.example.com,*.example.org --secret TOKEN@* --on-secret-violation block-and-terminate",
  );
  assert.deepEqual(
    secrets.map(({ envVar, source, placeholder, allowedHosts, allowedHostPatterns, allowAnyHost }) => [
      ...[envVar, source, placeholder, allowedHosts, allowedHostPatterns, allowAnyHost],
    ]),
    [
      [
        ...[
          "API_KEY",
          { kind: "env", var: "API_KEY" },
          "$MSB_API_KEY",
          ["api.example.com"],
          ["*.example.org"],
        ],
        false,
      ],
      ["TOKEN", { kind: "env", var: "TOKEN" }, "$MSB_TOKEN", [], [], true],
    ],
  );
  assert.equal(secretViolation, "block-and-terminate");
});

describe("a secret is refused, and what may be its value is not told", () => {
  for (const [words, message] of [
    ["API_KEY=hunter2@api.example.com", /cannot be given on the command line/],
    ["API_KEY=hunter2", /cannot be given on the command line/],
    ["API_KEY=hun@ter2@api.example.com", /cannot be given on the command line/],
    ["hunter2", /written otherwise/],
    ["@hunter2", /written otherwise/],
    ["API_KEY@", /nobody may have a secret/],
    ["API_KEY@https://a.b", /host of a secret is none/],
    ["API_KEY@hunter2@value", /host of a secret is none/],
    ["API_KEY@a.example,hun!ter2", /host of a secret is none/],
    ["hunter2@", /nobody may have a secret/],
  ] as const)
    test(words, () => {
      assert.throws(
        () => said(`--secret ${words}`),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, message);
          assert.ok(!`${error.stack ?? ""}${error.hint}`.includes("ter2"));
          return true;
        },
      );
    });
});

test("rules about requests", () => {
  const { http } = said(
    "--http-rule allow:get,HEAD@api.github.com/repos/** --http-rule deny@* --http-deny-message no --no-http-deny-response",
  );
  assert.deepEqual(http?.rules, [
    { action: "allow", methods: ["GET", "HEAD"], host: "api.github.com", path: "/repos/**" },
    { action: "deny", methods: [], host: "*", path: null },
  ]);
  assert.deepEqual([http.denyMessage, http.denyResponse], ["no", false]);
  for (const line of ["--http-deny-message no", "--no-http-deny-response", "--tls-intercept-ca-cert /a"])
    assert.throws(() => said(line), UsageError, line);
  for (const rule of ["allow", "alow@*", "allow:G T@*", "deny@/x", "deny@a.b/x?y"])
    assert.equal(quickParse(create, ["--http-rule", rule], null), null, rule);
});

test("what is read and put in is described, without a value", () => {
  const network = said(
    [
      "--tls-intercept-port 8443 --tls-bypass a.example.com --tls-no-verify-upstream-for b.example.com",
      "--no-block-quic --tls-intercept-ca-cert /a.crt --tls-intercept-ca-key /a.key --trust-host-cas --net-strict",
      "--secret API_KEY@api.example.com,*.example.org --on-secret-violation passthrough",
      "--http-rule allow:GET@api.github.com/repos/** --http-rule deny@*",
    ].join(" "),
  );
  assert.deepEqual(describeInterception(network), [
    "TLS is read on port 8443",
    "TLS of a.example.com is not read",
    "b.example.com need not prove who it is",
    "QUIC is let through",
    "the guest's authority is /a.crt",
    "secret API_KEY for api.example.com, *.example.org, from $API_KEY",
    "placeholders that go elsewhere: passthrough",
    "request allow:GET@api.github.com/repos/**",
    "request deny@*",
    "the guest believes the authorities of this host",
    "strict: names have to be proved",
  ]);
  assert.deepEqual(describeInterception(said("")), []);
});
