import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { IoError, JsonError } from "../errors/index.ts";
import {
  commitSuspension,
  readSuspension,
  removeSuspensions,
  stageSuspension,
  suspensionPaths,
  useUpSuspension,
  type SuspensionRecord,
} from "./suspension.ts";
import { suspensionSample } from "../../test/support/suspension-sample.ts";

const sandbox = await mkdtemp(join(tmpdir(), "msb-suspension-"));
after(() => rm(sandbox, { recursive: true }));

const record: SuspensionRecord = {
  ...suspensionSample,
  commands: [{ stream: 5, session: 1, tty: false, hasExited: false, job: null }],
};

test("a guest is suspended whole or not at all, and used once", async () => {
  assert.equal(await readSuspension(sandbox), null);
  const { memory } = await stageSuspension(sandbox);
  await writeFile(memory, "half");
  assert.equal(await readSuspension(sandbox), null);
  // One that was given up is begun anew.
  const staged = await stageSuspension(sandbox);
  assert.deepEqual(await readdir(staged.directory), []);
  await writeFile(staged.memory, "memory");
  await commitSuspension(sandbox, record);
  assert.deepEqual(await readSuspension(sandbox), record);
  await useUpSuspension(sandbox);
  assert.equal(await readSuspension(sandbox), null);
  await assert.rejects(useUpSuspension(sandbox), IoError);
  await removeSuspensions(sandbox, { fresh: false });
  assert.deepEqual(await readdir(sandbox), []);
});

test("what is not wanted any more is removed, and what is wanted is not", async () => {
  await stageSuspension(sandbox);
  await commitSuspension(sandbox, record);
  await stageSuspension(sandbox);
  await removeSuspensions(sandbox, { fresh: false });
  assert.deepEqual(await readSuspension(sandbox), record);
  await removeSuspensions(sandbox, { fresh: true });
  assert.equal(await readSuspension(sandbox), null);
});

test("one that is damaged is said to be, with what to do", async () => {
  await stageSuspension(sandbox);
  await commitSuspension(sandbox, record);
  for (const text of ["", "{", '{"format":2}']) {
    await writeFile(suspensionPaths(sandbox).record, text);
    await assert.rejects(readSuspension(sandbox), (error) => {
      assert.ok(error instanceof JsonError);
      assert.match(error.hint, /--fresh/);
      return true;
    });
  }
});
