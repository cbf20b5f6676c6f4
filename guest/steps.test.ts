import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { resultOf } from "./steps.ts";

let cache = "";
before(async () => {
  cache = await mkdtemp(join(tmpdir(), "steps-"));
});
after(async () => {
  await rm(cache, { recursive: true, force: true });
});

test("a step runs once per set of inputs, a failed one again, and old results go", async () => {
  let runs = 0;
  const step = (input: string, fail = false) => ({
    name: "copy",
    message: `copying ${input}`,
    inputs: [input],
    make: async (into: string, work: string): Promise<void> => {
      runs++;
      assert.deepEqual(await readdir(into), []);
      assert.deepEqual(await readdir(work), []);
      await writeFile(join(into, "file"), input);
      await writeFile(join(work, "rest"), input);
      if (fail) throw new Error("interrupted");
    },
  });

  await assert.rejects(resultOf(step("a", true), cache), /interrupted/);
  const first = await resultOf(step("a"), cache);
  assert.equal(await resultOf(step("a"), cache), first);
  assert.equal(runs, 2);
  assert.equal(await readFile(join(first, "file"), "utf8"), "a");

  const second = await resultOf(step("b"), cache);
  assert.notEqual(second, first);
  assert.equal(await readFile(join(second, "file"), "utf8"), "b");
  assert.equal((await readdir(join(cache, "steps"))).length, 1);
  assert.deepEqual(await readdir(join(cache, "work")), []);
});
