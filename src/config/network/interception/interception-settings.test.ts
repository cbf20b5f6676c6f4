import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import * as v from "valibot";
import { InvalidConfigError } from "../../../errors/index.ts";
import { interceptionEntries } from "./interception-schema.ts";
import {
  filledInterception,
  interceptionAsRead,
  interceptionSettingsOf,
  joinInterception,
  noInterception,
  nothingIntercepted,
  type AskedInterception,
} from "./interception-settings.ts";
import { GivenSecret } from "./secret-material.ts";
import type { SecretConfig } from "./secret-type.ts";
import { plainTls } from "./tls-settings.ts";

const secret: SecretConfig = {
  envVar: "API_KEY",
  placeholder: "$MSB_API_KEY",
  hosts: ["api.example.com", "*.example.org"],
  source: { kind: "stored" },
  injection: { headers: ["authorization"], basicAuth: true, queryParams: false, body: true },
  requireTlsIdentity: true,
  onViolation: { kind: "passthrough", hosts: ["log.example.com"] },
  scrubResponses: false,
};

const asked = (part: Partial<AskedInterception>): AskedInterception => ({ ...nothingIntercepted, ...part });
const given = (value: string): AskedInterception["given"] => ({
  ...nothingIntercepted.given,
  secrets: new Map([["API_KEY", new GivenSecret(value)]]),
});

test("what is stored is read back the same, and a record of an earlier version has none of it", () => {
  const config = filledInterception(
    interceptionSettingsOf(
      asked({
        secrets: [secret],
        secretViolation: { kind: "passthrough", hosts: ["*"] },
        tls: {
          ...plainTls,
          interceptedPorts: [443, 8443],
          scopedUpstreamCaCerts: [{ pattern: "*.internal", path: "/ca.pem" }],
          interceptCaCertPath: "/mine.crt",
          interceptCaKeyPath: "/mine.key",
        },
        http: {
          ...{ denyResponse: null, denyMessage: null, hookTimeoutMs: 5, hasRequestHook: true },
          hasResponseHook: false,
          rules: [{ action: "deny", methods: ["GET"], host: "*", path: null }],
        },
        strict: true,
      }),
    ),
  );
  const schema = v.object(interceptionEntries);
  assert.deepEqual(v.parse(schema, JSON.parse(JSON.stringify(config))), config);
  assert.deepEqual(filledInterception(interceptionAsRead(config)), config);
  assert.deepEqual(config.tls?.interceptCa, { certPath: "/mine.crt", keyPath: "/mine.key" });
  assert.deepEqual(v.parse(schema, {}), noInterception);
});

test("secrets and what is said about requests turn interception on", () => {
  assert.equal(interceptionSettingsOf(asked({ secretViolation: { kind: "block" } })).tls, null);
  assert.deepEqual(interceptionSettingsOf(asked({ secrets: [secret] })).tls?.interceptedPorts, [443]);
});

test("half an authority is refused", () => {
  assert.throws(
    () => interceptionSettingsOf(asked({ tls: { ...plainTls, interceptCaKeyPath: "/key" } })),
    /^InvalidConfigError: intercept CA config is incomplete; set both cert_path and key_path$/,
  );
});

test("one variable has one secret, and what is said twice in the same words is said once", () => {
  const [one, other] = [
    asked({ secrets: [secret], given: given("a") }),
    asked({ secrets: [secret], given: given("b") }),
  ];
  assert.deepEqual(joinInterception(one, one).secrets, [secret]);
  const read = joinInterception(one, asked({ secrets: [secret] }));
  assert.equal(read.given.secrets.get("API_KEY")?.reveal(), "a");
  for (const twice of [other, asked({ secrets: [{ ...secret, placeholder: "$OTHER" }] })])
    assert.throws(() => joinInterception(one, twice), /secret #1: there is a secret in .* API_KEY already/);
});

test("two secrets have one placeholder only where each host has one of them", () => {
  const join = (hosts: string[]): AskedInterception =>
    joinInterception(
      asked({ secrets: [secret] }),
      asked({ secrets: [{ ...secret, envVar: "OTHER", hosts }] }),
    );
  assert.equal(join(["other.example.com"]).secrets.length, 2);
  for (const hosts of [["api.example.com"], ["*.example.com"], ["a.example.org"], ["*"], ["*.a.example.org"]])
    assert.throws(() => join(hosts), InvalidConfigError, hosts.join());
});

test("what was given for a secret is shown by nothing", () => {
  const material = new Map([["API_KEY", new GivenSecret("hunter2")]]);
  for (const shown of [
    inspect(material, { depth: 9, showHidden: true, getters: true }),
    JSON.stringify([...material]),
    Object.values(material.get("API_KEY") ?? {}).join(),
  ])
    assert.ok(!shown.includes("hunter2"), shown);
  assert.equal(material.get("API_KEY")?.reveal(), "hunter2");
});
