import assert from "node:assert/strict";
import { mkdtemp, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test, type TestContext } from "node:test";
import { KnownFiles } from "./known-files.ts";

let directory = "";
let path = "";
let reads = 0;
let files: KnownFiles<string>;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "known-files-"));
});
after(() => rm(directory, { recursive: true, force: true }));
beforeEach(async () => {
  path = join(directory, "file");
  await writeFile(path, "one");
  reads = 0;
  files = new KnownFiles((of) => {
    reads++;
    return readFile(of, "utf8");
  });
});

/** The rest of a test is some time after what was written before it. */
const later = ({ mock }: TestContext): void => {
  mock.timers.enable({ apis: ["Date"], now: Date.now() + 10_000 });
};

test("a file is read again when it was written, and only then", async (t) => {
  later(t);
  for (let time = 0; time < 3; time++) assert.equal(await files.read(path), "one");
  assert.equal(reads, 1);
  // Of the same size, and with the time of before.
  await writeFile(path, "two");
  await utimes(path, 1, 1);
  assert.equal(await files.read(path), "two");
  await writeFile(`${path}.new`, "six");
  await rename(`${path}.new`, path);
  assert.equal(await files.read(path), "six");
  assert.equal(reads, 3);
});

test("what was written a moment ago is not taken for known", async () => {
  for (let time = 0; time < 3; time++) await files.read(path);
  assert.equal(reads, 3);
});

test("what is gone, cannot be read, or is not asked for any more is not kept", async (t) => {
  later(t);
  await files.read(path);
  files.forgetOthers();
  await files.read(path);
  files.forgetOthers();
  assert.equal(reads, 1);
  files.forgetOthers();
  await files.read(path);
  assert.equal(reads, 2);
  await rm(path);
  await assert.rejects(files.read(path), { code: "ENOENT" });
});
