import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { secret } from "../../test/support/secret-sample.ts";
import { changeSecretFile, readSecretFile, writeSecretFile } from "./secret-file.ts";

const directory = await mkdtemp(join(tmpdir(), "msb-secret-file-"));
after(() => rm(directory, { recursive: true }));
const path = join(directory, "secrets.json");
const [a, b] = [secret({ envVar: "A" }), secret({ envVar: "B" })];

test("new values are there before the record names them, and old ones until it does not any more", async () => {
  await writeSecretFile(path, new Map([["A", "1"]]));
  const changes = [
    ["A", null],
    ["B", "2"],
  ] as const;
  await changeSecretFile(path, [b], changes, async () => {
    assert.deepEqual(
      await readSecretFile(path),
      new Map([
        ["A", "1"],
        ["B", "2"],
      ]),
    );
  });
  assert.deepEqual(await readSecretFile(path), new Map([["B", "2"]]));
});

test("a record that cannot be written leaves the values as they were", async () => {
  await writeSecretFile(path, new Map([["A", "1"]]));
  const fails = changeSecretFile(path, [a], [["A", "2"]], () => Promise.reject(new Error("no space")));
  await assert.rejects(fails, /no space/);
  assert.deepEqual(await readSecretFile(path), new Map([["A", "1"]]));
});

test("what is not to be stored is not, and without any value there is no file", async () => {
  await writeSecretFile(path, new Map([["A", "1"]]));
  const ofEnvironment = secret({ envVar: "A", source: { kind: "env", var: "X" } });
  await changeSecretFile(path, [ofEnvironment], [["A", "of the environment"]], () => Promise.resolve());
  await assert.rejects(stat(path), { code: "ENOENT" });
});
