import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { secret } from "../../../../test/support/secret-sample.ts";
import type { SecretConfig, SecretSource } from "../../../config/network/interception/secret-type.ts";
import { InvalidConfigError, IoError, JsonError } from "../../../errors/index.ts";
import type { Message } from "../../../protocol/generated/messages.ts";
import { readSecretFile, writeSecretFile } from "../../../store/secret-file.ts";
import type { AskProgram } from "./program-secrets.ts";
import { SupervisedSecrets } from "./supervised-secrets.ts";

const directory = await mkdtemp(join(tmpdir(), "msb-secrets-"));
after(() => rm(directory, { recursive: true }));
const path = join(directory, "secrets.json");
const signal = new AbortController().signal;
const of = (envVar: string, source: SecretSource): SecretConfig => secret({ envVar, source });

function load(secrets: readonly SecretConfig[], given: Record<string, string | null> = {}) {
  const warnings: string[] = [];
  const asked: Message[] = [];
  const ask: AskProgram = (message) => {
    asked.push(message);
    if (message.type === "GiveSecrets") {
      const known = message.envVars.filter((envVar) => envVar in given);
      return Promise.resolve({
        type: "SecretsGiven",
        secrets: known.map((envVar) => ({ envVar, value: given[envVar] ?? null })),
      });
    }
    if (message.type !== "FetchSecret") return Promise.reject(new Error(`asked for ${message.type}`));
    return Promise.resolve({ type: "SecretFetched", value: `for ${message.host}`, expiresMs: null });
  };
  const warn = (message: string): void => void warnings.push(message);
  return { warnings, asked, loaded: SupervisedSecrets.load({ secrets, path, ask, warn }, signal) };
}

test("values come from where their sources say, and the program is asked only for what is not stored", async () => {
  await writeSecretFile(path, new Map([["STORED", "kept"]]));
  const file = join(directory, "token");
  await writeFile(file, "first\n");
  const secrets = [
    of("STORED", { kind: "stored" }),
    of("ENV", { kind: "env", var: "HOST_VAR" }),
    of("FILE", { kind: "file", path: file }),
    of("FETCHED", { kind: "provider" }),
  ];
  const { loaded, asked, warnings } = load(secrets, { ENV: "from env", FETCHED: null, STORED: "not asked" });
  const values = (await loaded).values(secrets);
  assert.deepEqual(asked, [{ type: "GiveSecrets", envVars: ["ENV", "FETCHED"] }]);
  assert.equal(values.value("STORED", "h"), "kept");
  assert.equal(values.value("ENV", "h"), "from env");
  assert.equal(await values.value("FILE", "h"), "first");
  assert.equal(await values.value("FETCHED", "h"), "for h");
  assert.equal(values.value("OTHER", "h"), null);
  await writeFile(file, "second\r\n");
  assert.equal(await values.value("FILE", "h"), "second");
  await rm(file);
  assert.equal(await values.value("FILE", "h"), null);
  assert.match(warnings.join(), /FILE.*cannot be read: ENOENT/);
});

test("a file that is no text has no value", async () => {
  const file = join(directory, "bytes");
  await writeFile(file, Buffer.from([0x61, 0xff, 0x62]));
  const secrets = [of("FILE", { kind: "file", path: file })];
  const { loaded, warnings } = load(secrets);
  assert.equal(await (await loaded).values(secrets).value("FILE", "h"), null);
  assert.match(warnings.join(), /FILE.*no UTF-8 text/);
});

test("a start without a value is refused, and says which", async () => {
  await writeSecretFile(path, new Map());
  for (const source of [{ kind: "stored" }, { kind: "provider" }, { kind: "env", var: "X" }] as const) {
    await assert.rejects(load([of("MISSING", source)]).loaded, (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.match(error.message, /MISSING/);
      return true;
    });
  }
});

test("a change is for those that ask afterwards: a connection keeps what it began with", async () => {
  await writeSecretFile(path, new Map([["A", "old"]]));
  const secrets = [of("A", { kind: "stored" })];
  const loaded = await load(secrets).loaded;
  const before = loaded.values(secrets);
  loaded.change(new Map([["A", "new"]]));
  const after = loaded.values(secrets);
  loaded.change(new Map([["A", null]]));
  assert.deepEqual(
    [before, after, loaded.values(secrets)].map((values) => values.value("A", "h")),
    ["old", "new", null],
  );
});

test("the file of values is for its owner alone, and one that others can read is not used", async () => {
  await writeSecretFile(path, new Map([["A", "the value"]]));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readSecretFile(path), new Map([["A", "the value"]]));
  for (const mode of [0o640, 0o604, 0o660]) {
    await chmod(path, mode);
    await assert.rejects(readSecretFile(path), IoError);
  }
  await chmod(path, 0o600);
  await writeFile(path, '{"format":1,"values":{"A":"half of the val');
  await assert.rejects(readSecretFile(path), (error) => {
    assert.ok(error instanceof JsonError);
    assert.doesNotMatch(JSON.stringify([error.message, error.cause ?? null, error.stack]), /half of/);
    return true;
  });
  await writeSecretFile(path, new Map());
  await assert.rejects(readFile(path), { code: "ENOENT" });
  assert.deepEqual(await readSecretFile(path), new Map());
});
