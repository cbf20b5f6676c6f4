import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { secret } from "../../../test/support/secret-sample.ts";
import { GivenSecret, type SecretProvider } from "../../config/network/interception/secret-material.ts";
import type { SecretSource } from "../../config/network/interception/secret-type.ts";
import { InvalidConfigError, MicrosandboxError, UnsupportedOperationError } from "../../errors/index.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { SecretBuilder } from "../../config/network/interception/builders/secret-builder.ts";
import { checkGivenSecrets } from "./given-secrets.ts";
import { provideSecrets } from "./provide-secrets.ts";
import { requireNoFunctions, runSecrets } from "./run-secrets.ts";

const directory = await mkdtemp(join(tmpdir(), "msb-run-secrets-"));
after(() => rm(directory, { recursive: true }));

const none = new Map<string, never>();
const of = (source: SecretSource) => [secret({ envVar: "KEY", source })];
const fetch: SecretProvider = () => "fetched";
const given = (what: string | SecretProvider) => new Map([["KEY", new GivenSecret(what)]]);

test("what is given goes where its secret keeps it, and all values that are known are kept out of environments", async () => {
  const file = join(directory, "token");
  await writeFile(file, "of the file\n");
  process.env["MSB_TEST_RUN_SECRET"] = "of the environment";
  const env = { kind: "env", var: "MSB_TEST_RUN_SECRET" } as const;
  const shown = async (...call: Parameters<typeof runSecrets>) => {
    const { material, stored, values } = await runSecrets(...call);
    return [Array.from(material, ([, one]) => one.reveal()), [...stored.values()], values];
  };
  const stored = new Map([["KEY", "kept"]]);
  assert.deepEqual(await shown(of({ kind: "stored" }), none, none, stored), [[], [], ["kept"]]);
  assert.deepEqual(await shown(of({ kind: "stored" }), given("new"), none, stored), [[], ["new"], ["new"]]);
  assert.deepEqual(await shown(of(env), none, none, none), [
    ["of the environment"],
    [],
    ["of the environment"],
  ]);
  assert.deepEqual(await shown(of(env), given("else"), none, none), [["else"], [], ["else"]]);
  assert.deepEqual(await shown(of({ kind: "file", path: file }), none, none, none), [
    [],
    [],
    ["of the file"],
  ]);
  assert.deepEqual(await shown(of({ kind: "provider" }), given(fetch), none, none), [[fetch], [], []]);
  assert.deepEqual(await shown(of({ kind: "provider" }), none, given(fetch), none), [[fetch], [], []]);
  delete process.env["MSB_TEST_RUN_SECRET"];
  // What the same program gave before is taken when it is not in the environment any more.
  assert.deepEqual(await shown(of(env), none, given("before"), none), [["before"], [], ["before"]]);
});

test("a secret without a value keeps the sandbox from starting, with a hint how to give it", async () => {
  const empty = join(directory, "empty");
  await writeFile(empty, "\n");
  const sources: readonly SecretSource[] = [
    { kind: "stored" },
    { kind: "env", var: "MSB_TEST_NOT_THERE" },
    { kind: "file", path: join(directory, "missing") },
    { kind: "file", path: empty },
    { kind: "provider" },
  ];
  for (const source of sources) {
    await assert.rejects(runSecrets(of(source), none, none, none), (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.match(error.message, /secret KEY has no value/);
      assert.match(error.hint, /KEY: value/);
      return true;
    });
  }
  await assert.rejects(runSecrets(of({ kind: "stored" }), given(fetch), none, none), /was given a function/);
});

test("what is given to a start is looked at, and no error tells a value", () => {
  const secrets = of({ kind: "stored" });
  const wrong = [
    { OTHER: "the value" },
    { KEY: "" },
    { KEY: "$KEY" },
    { KEY: "a\nb" },
    { KEY: 7 },
    "text",
    [],
  ];
  for (const input of wrong) {
    assert.throws(
      () => checkGivenSecrets(secrets, input as never),
      (error) => {
        assert.ok(error instanceof MicrosandboxError);
        assert.doesNotMatch(`${error.message}${error.hint}`, /the value\b.*the value|a\nb/);
        return true;
      },
    );
  }
  assert.deepEqual([...checkGivenSecrets(secrets, undefined)], []);
});

test("what no request can hold is refused at once, wherever it comes from, and not told", async () => {
  const path = join(directory, "unfit");
  const texts = ["first\r\nX-Other: 1", "first\nsecond", "first\0second", "first\x7fsecond", "first \ud800"];
  const ways: Readonly<Record<string, (text: string) => Promise<unknown>>> = {
    value: async (text) => new SecretBuilder().env("KEY").allow("a.example").value(text).made("the secret"),
    start: async (text) => checkGivenSecrets(of({ kind: "stored" }), { KEY: text }),
    stored: (text) => runSecrets(of({ kind: "stored" }), none, none, new Map([["KEY", text]])),
    env: async (text) => {
      process.env["MSB_TEST_UNFIT_SECRET"] = text;
      await runSecrets(of({ kind: "env", var: "MSB_TEST_UNFIT_SECRET" }), none, none, none);
    },
    file: async (text) => {
      // Half of a surrogate pair as it would be written if there were a way to: by bytes that are no UTF-8.
      await writeFile(path, Buffer.from(text.replace("\ud800", "\xff"), "latin1"));
      await runSecrets(of({ kind: "file", path }), none, none, none);
    },
  };
  for (const [way, give] of Object.entries(ways))
    for (const text of texts) {
      // An environment has no such variables: what is set there is another text.
      if (way === "env" && /\0|\ud800/.test(text)) continue;
      await assert.rejects(give(text), (error) => {
        assert.ok(error instanceof InvalidConfigError, `${way}: ${String(error)}`);
        assert.match(error.message, /KEY/);
        assert.doesNotMatch(`${error.message}${error.hint}`, /first|second|X-Other/);
        return true;
      });
    }
  delete process.env["MSB_TEST_UNFIT_SECRET"];
});

test("what a function gives is told as it is, or refused", async () => {
  const told = (value: unknown): Promise<Message> =>
    new Promise((resolve) => {
      const stream = { over: false, send: resolve } as unknown as Stream;
      const material = new Map([["KEY", new GivenSecret((() => value) as SecretProvider)]]);
      provideSecrets(material)(stream, { type: "FetchSecret", envVar: "KEY", host: "a.example" });
    });
  for (const value of ["é🔑", "two\r\nlines"])
    assert.deepEqual(await told(value), { type: "SecretFetched", value, expiresMs: null });
  for (const value of ["first \ud800", 7, null, { value: 7 }, { value: "v", expiresAt: "soon" }]) {
    const answer = await told(value);
    assert.equal(answer.type, "Failure");
    assert.doesNotMatch(JSON.stringify(answer), /first/);
  }
});

test("a sandbox that goes on without its program cannot have its functions", () => {
  requireNoFunctions(given("value"), "sandbox x");
  assert.throws(() => requireNoFunctions(given(fetch), "sandbox x"), UnsupportedOperationError);
});
