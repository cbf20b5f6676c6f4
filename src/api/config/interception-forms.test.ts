/** Interception, secrets and rules about requests: said by a builder or an object they are one stored form, in which no value is. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import * as v from "valibot";
import { ViolationAction } from "../../config/enums.ts";
import { Secret } from "../../config/network/interception/builders/secret-object.ts";
import type { SecretEntry } from "../../config/network/interception/secret-settings.ts";
import { SecretSource } from "../../config/network/interception/secret-type.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { configOf, effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { guestEnv } from "../../config/sandbox/guest-env.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import { storedConfigSchema, type StoredConfig } from "../../config/sandbox/stored-config.ts";
import { SandboxBuilder } from "./sandbox-builder.ts";

type Set = (builder: SandboxBuilder) => SandboxBuilder;
type Fields = Partial<Omit<SandboxConfigInput, "name" | "image">>;

const secretValue = "sk-hunter2";
const base = { name: "forms", image: "localhost/base" };
const provider = (): string => secretValue;
const hook = (): null => null;
const isGiven = ({ source }: SecretEntry): boolean => source.kind === "stored" || source.kind === "provider";

const stored = (config: SandboxConfig): StoredConfig =>
  v.parse(storedConfigSchema, JSON.parse(JSON.stringify(effectiveConfig(config, {}, null))));
const built = (set: Set): SandboxConfig => set(new SandboxBuilder("forms").image("localhost/base")).build();

const forms: Readonly<Record<string, readonly [set: Set, ...objects: Fields[]]>> = {
  "interception as usual": [
    (b) => b.interceptTls(),
    { network: { tls: {} } },
    { network: { tls: true } },
    { network: { interceptTls: true } },
    { network: { tls: { interceptedPorts: [443], verifyUpstream: true, blockQuic: true, bypass: [] } } },
  ],
  "all of interception": [
    (b) =>
      b.network((n) =>
        n
          .tls((t) =>
            t
              .bypass("Bank.Example.")
              .bypass("*.bücher.example")
              .verifyUpstream(false)
              .verifyUpstreamFor("*.example.com", true)
              .interceptedPorts([443, 8443, 443])
              .blockQuic(false),
          )
          .tls((t) =>
            t
              .upstreamCaCert("/ca.pem")
              .upstreamCaCertFor("*.internal", "own.pem")
              .interceptCaCert("/mine.crt")
              .interceptCaKey("/mine.key"),
          )
          .trustHostCAs(true)
          .strict(true),
      ),
    {
      network: {
        tls: {
          bypass: ["bank.example", "*.xn--bcher-kva.example"],
          verifyUpstream: false,
          scopedVerifyUpstream: [{ pattern: "*.example.com", verify: true }],
          interceptedPorts: [443, 8443],
          blockQuic: false,
          upstreamCaCert: ["/ca.pem"],
          scopedUpstreamCaCerts: [{ pattern: "*.internal", path: resolve("own.pem") }],
          ...{ interceptCaCert: "/mine.crt", interceptCaKey: "/mine.key" },
        },
        trustHostCas: true,
        strict: true,
      },
    },
  ],
  "a secret": [
    (b) => b.secretEnv("API_KEY", secretValue, "api.example.com"),
    { secrets: [{ envVar: "API_KEY", value: secretValue, allowHosts: ["API.example.com."] }] },
    { secrets: [Secret.env("API_KEY", { value: secretValue, allowHosts: ["api.example.com"] })] },
    { network: { secrets: [{ envVar: "API_KEY", value: secretValue, allowedHosts: ["api.example.com"] }] } },
  ],
  "a secret of a network, in short": [
    (b) => b.network((n) => n.secretEnvSimple("API_KEY", secretValue, "*.example.com")),
    { secrets: [{ envVar: "API_KEY", value: secretValue, allowHostPatterns: ["*.example.com"] }] },
  ],
  "a secret of a network, with its placeholder": [
    (b) => b.network((n) => n.secretEnv("API_KEY", secretValue, "sk-placeholder", "example.com")),
    {
      secrets: [
        { envVar: "API_KEY", value: secretValue, placeholder: "sk-placeholder", allowHosts: ["example.com"] },
      ],
    },
  ],
  "all of a secret": [
    (b) =>
      b.secret((s) =>
        s
          .env("API_KEY")
          .source(SecretSource.env("HOST_KEY"))
          .placeholder("sk-000")
          .allowHost("api.example.com")
          .allowHostPattern("*.example.org")
          .allowAnyHostDangerous(false)
          .requireTlsIdentity(false)
          .injectHeaders(false)
          .injectBasicAuth(false)
          .injectQuery(true)
          .injectBody(true)
          .onViolation((action) => action.passthroughAllHosts(true).blockAndTerminate())
          .scrubResponses(),
      ),
    {
      secrets: [
        {
          ...{ envVar: "API_KEY", placeholder: "sk-000", source: { kind: "env", var: "HOST_KEY" } },
          ...{ allowHosts: ["api.example.com"], allowHostPatterns: ["*.example.org"], requireTls: false },
          injection: { headers: false, basicAuth: false, queryParams: true, body: true },
          onViolation: ViolationAction.BlockAndTerminate,
          scrubResponses: true,
        },
      ],
    },
    {
      secrets: [
        {
          ...{ envVar: "API_KEY", placeholder: "sk-000", source: SecretSource.env("HOST_KEY") },
          ...{ allowedHosts: ["api.example.com"], allowedHostPatterns: ["*.example.org"] },
          ...{ allowAnyHost: false, requireTlsIdentity: false, scrubResponses: true },
          injection: { headers: false, basicAuth: false, queryParams: true, body: true },
          onViolation: "block-and-terminate",
        },
      ],
    },
  ],
  "names of later versions": [
    (b) =>
      b.network((n) =>
        n
          .secret((s) =>
            s
              .env("API_KEY")
              .file("key.txt")
              .allow("*.example.com")
              .allowPlaceholderFor("log.example.net")
              .allowPlaceholderFor("*.example.net")
              .substituteInHeaders()
              .substituteInHeaderFields(["X-Api-Key"])
              .substituteInQuery()
              .substituteInBody(),
          )
          .secretViolationAction("passthrough"),
      ),
    {
      network: {
        secrets: [
          {
            envVar: "API_KEY",
            source: SecretSource.file(resolve("key.txt")),
            allowHostPatterns: ["*.example.com"],
            onViolation: { passthrough: ["log.example.net", "*.example.net"] },
            injection: { headers: ["x-api-key"], queryParams: true, body: true },
          },
        ],
        onSecretViolation: { passthrough: ["*"] },
      },
    },
  ],
  "a provider": [
    (b) => b.secret((s) => s.env("API_KEY").provider(provider).allowAnyHostDangerous(true)),
    { secrets: [{ envVar: "API_KEY", provider, allowAnyHost: true }] },
  ],
  "rules about requests": [
    (b) =>
      b.network((n) =>
        n
          .http((h) => h.allow("get", "api.github.com", "/repos/**").allow(["POST", "PUT"], "*.example.com"))
          .http((h) => h.allow("example.org", "/a/*").deny("*").denyResponse(false).denyMessage("no {host}")),
      ),
    {
      network: {
        http: {
          rules: [
            { action: "allow", methods: "GET", host: "api.github.com", path: "/repos/**" },
            { action: "allow", methods: ["post", "PUT"], host: "*.example.com" },
            { action: "allow", methods: [], host: "example.org", path: "/a/*" },
            { action: "deny", methods: "*" },
          ],
          denyResponse: false,
          denyMessage: "no {host}",
        },
      },
    },
  ],
  "functions that look at requests": [
    (b) => b.network((n) => n.http((h) => h.onRequest(hook).onResponse(hook).hookTimeoutMs(50))),
    { network: { http: { onRequest: hook, onResponse: hook, hookTimeoutMs: 50 } } },
  ],
};

describe("the builder and the object say the same, and no value is in it", () => {
  for (const [what, [set, ...objects]] of Object.entries(forms)) {
    test(what, () => {
      const config = built(set);
      const expected = stored(config);
      for (const fields of objects) {
        const draft = draftFromConfig({ ...base, ...fields });
        assert.deepEqual(stored(draft.finish()), expected, JSON.stringify(fields));
      }
      const read = configOf({ name: "forms", config: expected });
      for (const shown of [config, expected, read]) {
        assert.ok(!inspect(shown, { depth: 20, showHidden: true, getters: true }).includes("hunter2"));
        assert.ok(!JSON.stringify(shown).includes("hunter2"));
      }
    });
  }
});

describe("what is read back may be given again, with what it does not have", () => {
  for (const [what, [set]] of Object.entries(forms)) {
    test(what, () => {
      const config = built(set);
      for (const { network, secrets } of [config, configOf({ name: "forms", config: stored(config) })]) {
        const hasHooks = network?.http?.hooks.onRequest === true;
        const http = hasHooks ? { ...network.http, onRequest: hook, onResponse: hook } : network?.http;
        const draft = draftFromConfig({
          ...base,
          network: { ...network, http: http ?? null },
          secrets: secrets.map((secret) => ({
            ...secret,
            ...(secret.source.kind === "stored" ? { value: secretValue } : {}),
            ...(secret.source.kind === "provider" ? { provider } : {}),
          })),
        });
        assert.deepEqual(stored(draft.finish()), stored(config));
        assert.equal(draft.beside.secrets.size, secrets.filter(isGiven).length);
      }
    });
  }
});

test("values and functions go beside the configuration", () => {
  const builder = new SandboxBuilder("forms")
    .image("localhost/base")
    .secretEnv("A", secretValue, "a.example.com");
  const draft = draftFromConfig({
    ...base,
    secrets: [
      { envVar: "A", value: secretValue, allowHosts: ["a.example.com"] },
      { envVar: "B", provider, allowHosts: ["b.example.com"] },
      { envVar: "C", source: SecretSource.env("C"), allowHosts: ["c.example.com"] },
    ],
    network: { http: { onResponse: hook } },
  });
  draft.finish();
  const { secrets, hooks } = draft.beside;
  assert.deepEqual(
    [...secrets].map(([name, given]) => [name, given.reveal()]),
    [
      ["A", secretValue],
      ["B", provider],
    ],
  );
  assert.deepEqual(hooks, { onRequest: null, onResponse: hook });
  assert.equal(JSON.stringify(builder).includes("hunter2"), false);
  assert.equal(inspect(builder, { depth: 20, showHidden: true, getters: true }).includes("hunter2"), false);
  assert.equal(
    inspect(draft.beside, { depth: 20, showHidden: true, getters: true }).includes("hunter2"),
    false,
  );
});

test("the guest has the placeholder in its environment", () => {
  const config = stored(
    built((b) => b.env("PLAIN", "1").secretEnv("API_KEY", secretValue, "api.example.com")),
  );
  assert.deepEqual(guestEnv(config), [
    ["PLAIN", "1"],
    ["API_KEY", "$MSB_API_KEY"],
  ]);
  // An image's is not what the user has said.
  assert.deepEqual(guestEnv({ ...config, env: [["API_KEY", "of the image"]] }), [
    ["API_KEY", "$MSB_API_KEY"],
  ]);
});

test("ports, secrets and interception that were said before network() stay", () => {
  const { network } = built((b) =>
    b
      .port(8080, 80)
      .secretEnv("A", secretValue, "a.example.com")
      .network((n) => n.tls((t) => t.bypass("b.example.com")))
      .secretEnv("B", secretValue, "b.example.com"),
  );
  assert.deepEqual(
    network?.secrets.map(({ envVar }) => envVar),
    ["A", "B"],
  );
  assert.deepEqual([network.tls?.bypass, network.ports.length], [["b.example.com"], 1]);
});
