/** What is wrong with interception, secrets and rules about requests is told early, by name, and without a value. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { SecretBuilder } from "../../config/network/interception/builders/secret-builder.ts";
import { TlsBuilder } from "../../config/network/interception/builders/tls-builder.ts";
import { ViolationActionBuilder } from "../../config/network/interception/builders/violation-builder.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { SandboxBuilder } from "./sandbox-builder.ts";

const value = "sk-hunter2";
const base = { name: "wrong", image: "localhost/base" };

function refuses(make: () => unknown, message: RegExp): void {
  assert.throws(make, (error) => {
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.match(error.message, message);
    // Of a wrong type there is no more to be said.
    const isOfType = /is not text|holds a NUL|a whole number|neither true nor false/.test(error.message);
    assert.ok(isOfType || error.hint !== "", error.message);
    assert.ok(!`${error.stack ?? ""} ${error.hint}`.includes("hunter2"), error.message);
    return true;
  });
}

const secret = (): SecretBuilder =>
  new SecretBuilder().env("API_KEY").value(value).allowHost("a.example.com");

describe("a secret is refused", () => {
  for (const [what, make, message] of [
    [
      "without a variable",
      () => new SecretBuilder().value(value).allow("a.b"),
      /^SecretBuilder: the environment/,
    ],
    [
      "without a host",
      () => new SecretBuilder().env("A").value(value),
      /^SecretBuilder: at least one allowed host is required/,
    ],
    [
      "when any host was said and not understood",
      () => new SecretBuilder().env("A").value(value).allowAnyHostDangerous(false),
      /at least one allowed host/,
    ],
    ["without a value", () => new SecretBuilder().env("A").allow("a.b"), /A has no value/],
    ["with a value and a source", () => secret().source({ kind: "env", var: "X" }), /said twice/],
    ["with a value and a file", () => secret().file("/x"), /said twice/],
    ["with a value and a provider", () => secret().provider(() => "x"), /said twice/],
    [
      "with a provider that is none",
      () =>
        new SecretBuilder()
          .env("A")
          .allow("a.b")
          .provider("x" as never),
      /no function/,
    ],
    ["with an empty value", () => secret().value(""), /value of API_KEY is empty/],
    ["with a value that is no text", () => secret().value(5 as never), /is not text/],
    ["with a value of a NUL", () => secret().value(`${value}\0`), /holds a NUL/],
    ["with a value of two lines", () => secret().value(`${value}\r\nX: y`), /has a control character/],
    [
      "for a query with a value that none can hold",
      () => secret().value(`${value} é`).injectQuery(true),
      /no query can hold/,
    ],
    [
      "for Basic credentials with a value of two lines",
      () => secret().value(`${value}\n`).injectHeaders(false),
      /has a control character/,
    ],
    ["with a large value", () => secret().value(value.repeat(10_000)), /has 100000 bytes/],
    ["with a variable that is none", () => secret().env("A=B"), /cannot be the name/],
    ["with a variable of ours", () => secret().env("MSB_A"), /reserved/],
    ["with an empty placeholder", () => secret().placeholder(""), /placeholder is empty/],
    ["with a long placeholder", () => secret().placeholder("é".repeat(513)), /1026 bytes; 1024/],
    ["with a placeholder of two lines", () => secret().placeholder("a\nb"), /line break/],
    ["with its value as placeholder", () => secret().placeholder(`x${value}`), /is in its placeholder/],
    ["that is put in nowhere", () => secret().substituteInHeaders(false), /put in nowhere/],
    ["that is put into no field", () => secret().substituteInHeaderFields([]), /put in nowhere/],
  ] as const)
    test(what, () => {
      refuses(() => make().build(), message);
    });

  test("unless it is for bodies alone, with two lines", () => {
    assert.equal(
      secret().value("a\nb").substituteInHeaders(false).injectBody(true).build().injection.body,
      true,
    );
  });
});

describe("a host is refused", () => {
  for (const [host, message] of [
    ["", /it is empty/],
    ["https://a.example.com", /a port is not part|looks like a URL/],
    ["a.example.com:443", /a port is not part/],
    ["a.example.com/x", /looks like a URL/],
    ["me@a.example.com", /looks like a URL/],
    ["*", /everybody/],
    ["*.example.com", /no name but a pattern/],
    ["a.*.com", /has a \*/],
    [".example.com", /begins with a dot/],
    ["a..b", /two dots/],
    [`${"a".repeat(64)}.com`, /label is longer/],
    ["a b.com", /a space/],
    [5, /not text/],
  ] as const)
    test(String(host), () => {
      refuses(() => secret().allowHost(host as string), message);
    });

  test("and is written in one way", () => {
    const { allowedHosts, allowedHostPatterns } = secret()
      .allowHost("BÜCHER.Example.")
      .allowHostPattern("*.Internal")
      .allowHost("A.example.com")
      .build();
    assert.deepEqual(allowedHosts, ["a.example.com", "xn--bcher-kva.example"]);
    assert.deepEqual(allowedHostPatterns, ["*.internal"]);
  });
});

describe("what is done with violations", () => {
  const builder = (): ViolationActionBuilder => new ViolationActionBuilder();
  for (const [what, made, expected] of [
    ["nothing said", builder(), "block-and-log"],
    ["a block after hosts", builder().passthroughHost("a.b").block(), "block"],
    ["hosts after a block", builder().blockAndTerminate().passthroughHost("A.b"), { passthrough: ["a.b"] }],
    [
      "hosts after hosts",
      builder().passthroughHost("a.b").passthroughHostPattern("*.c.d"),
      { passthrough: ["a.b", "*.c.d"] },
    ],
    ["everybody", builder().passthroughAllHosts(true), "passthrough"],
    ["nobody", builder().blockAndTerminate().passthroughAllHosts(false), "block-and-terminate"],
  ] as const)
    test(what, () => {
      assert.deepEqual(made.build(), expected);
    });

  test("several actions, of which the last counts", () => {
    const { onViolation } = secret()
      .violationActions(["block", { passthrough: ["a.b"] }, { passthrough: ["c.d"] }])
      .build();
    assert.deepEqual(onViolation, { passthrough: ["a.b", "c.d"] });
    refuses(() => secret().onViolation({ passthrough: [] }), /without a host/);
    refuses(() => secret().onViolation("blok" as never), /onViolation is "blok"/);
    refuses(() => secret().onViolation({ passtrough: ["a.b"] } as never), /did you mean "passthrough"/);
  });
});

describe("interception is refused", () => {
  for (const [what, make, message] of [
    [
      "with half an authority",
      () => new TlsBuilder().interceptCaCert("/x"),
      /^intercept CA config is incomplete; set both cert_path and key_path$/,
    ],
    ["without a port", () => new TlsBuilder().interceptedPorts([]), /interceptedPorts is empty/],
    ["with a port that is none", () => new TlsBuilder().interceptedPorts([0]), /from 1 to 65535/],
    ["with a pattern that is none", () => new TlsBuilder().bypass("*"), /everybody/],
    ["with a file that has no name", () => new TlsBuilder().upstreamCaCert(""), /empty/],
  ] as const)
    test(what, () => {
      refuses(() => make().build(), message);
    });
});

const network = (fields: object): Partial<SandboxConfigInput> => ({ network: fields });
const aSecret = { envVar: "API_KEY", value, allowHosts: ["a.example.com"] };

describe("an object is refused", () => {
  for (const [fields, message] of [
    [{ secrets: [{ ...aSecret, alowHosts: [] }] }, /"secrets\[0\]\.alowHosts": did you mean "allowHosts"/],
    [
      { secrets: [aSecret, { ...aSecret, envVar: "B", allowHosts: [] }] },
      /secret #1: at least one allowed host/,
    ],
    [{ secrets: [{ ...aSecret, envVar: undefined }] }, /secret #0: the environment variable is required/],
    [
      { secrets: [aSecret, { ...aSecret, value: "other" }] },
      /secret #1: there is a secret .* API_KEY already/,
    ],
    [
      { secrets: [{ ...aSecret, value: undefined, source: { kind: "stored" } }] },
      /secret #0: the value of API_KEY is not given/,
    ],
    [
      { secrets: [{ ...aSecret, value: undefined, source: { kind: "store" } }] },
      /"store", which is no place of secrets/,
    ],
    [{ secrets: [{ ...aSecret, requireTls: true, requireTlsIdentity: false }] }, /said twice/],
    [
      { secrets: [{ ...aSecret, injection: { header: true } }] },
      /injection\.header": did you mean "headers"/,
    ],
    [{ secrets: [{ ...aSecret, injection: { headers: ["a b"] } }] }, /no name of a header field/],
    [{ secrets: aSecret }, /secrets is not a list/],
    [{ secrets: [aSecret], env: { API_KEY: "1" } }, /secret #0: .* API_KEY is set by env too/],
    [{ secrets: [aSecret], disableNetwork: true }, /there are secrets, and the network is disabled/],
    [
      { ...network({ http: { rules: [] } }), disableNetwork: true },
      /rules about requests, and the network is disabled/,
    ],
    [network({ secrets: [{ ...aSecret, valeu: 1 }] }), /"network\.secrets\[0\]\.valeu"/],
    [network({ tls: { bypas: [] } }), /"network\.tls\.bypas": did you mean "bypass"/],
    [network({ tls: { interceptCaKey: "/x" } }), /incomplete/],
    [network({ tls: { interceptCaKey: "/x", interceptCaKeyPath: "/y" } }), /said twice/],
    [network({ tls: { scopedVerifyUpstream: [{ pattern: "a.b", verfy: true }] } }), /did you mean "verify"/],
    [network({ tls: 5 }), /network\.tls must be an object/],
    [network({ http: { rules: [{ action: "alow" }] } }), /rules\[0\]\.action is "alow"/],
    [network({ http: { rules: [{ action: "deny", hots: "x" }] } }), /did you mean "host"/],
    [network({ http: { rules: [{ action: "deny", path: "repos" }] } }), /does not begin with a slash/],
    [network({ http: { rules: [{ action: "deny", path: "/a?b" }] } }), /what comes after the path/],
    [network({ http: { rules: [{ action: "deny", path: "/a%20b" }] } }), /escapes are resolved/],
    [network({ http: { rules: [{ action: "deny", path: "/a/../b" }] } }), /such dots is refused/],
    [network({ http: { rules: [{ action: "deny", path: "/a;b" }] } }), /parameters of a segment/],
    [network({ http: { rules: [{ action: "deny", path: "/a//b" }] } }), /several slashes/],
    [network({ http: { rules: [{ action: "deny", path: "/a#b" }] } }), /what comes after the path/],
    [network({ http: { rules: [{ action: "deny", host: "DELETE" }] } }), /"DELETE", which is a method/],
    [network({ http: { rules: [{ action: "deny", methods: "GE T" }] } }), /a method of .* is "GE T"/],
    [network({ http: { denyMessage: "x".repeat(5000) } }), /more than 4096 bytes/],
    [network({ http: { onRequest: 5 } }), /onRequest is given no function/],
    [network({ http: { hooks: { onRequest: true } } }), /onRequest of http is not given/],
    [network({ onSecretViolation: "blok" }), /is "blok"/],
    [network({ trustHostCAs: 5 }), /neither true nor false/],
    [
      { ...network({ trustHostCAs: true }), deploymentProfile: "multi-tenant" },
      /multi-tenant sandbox cannot have the host's authorities/,
    ],
  ] as const)
    test(String(message), () => {
      refuses(() => draftFromConfig({ ...base, ...(fields as object) }).finish(), message);
    });
});

test("one placeholder for two secrets of one host is told by the builder too", () => {
  const builder = new SandboxBuilder("wrong")
    .image("localhost/base")
    .secret(() => secret().placeholder("$KEY"))
    .network((n) => n.secret(() => secret().env("B").placeholder("$KEY").allow("*.example.com")));
  refuses(() => builder.build(), /secret #1: B has the placeholder of API_KEY/);
});
