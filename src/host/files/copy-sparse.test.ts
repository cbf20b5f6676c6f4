import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { IoError } from "../../errors/index.ts";
import { copySparse, copySparseByBlocks, readyToCopy } from "./copy-sparse.ts";

let directory = "";
/** 64 MiB and a bit, with data at the start, across the edge of a MiB, and in the last bytes; zeros are written in between. */
let source = "";
const size = 64 * 1024 * 1024 + 777;
const dataBytes = 300_000;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "sparse-"));
  source = join(directory, "source");
  await using file = await open(source, "wx");
  await file.truncate(size);
  await file.write(randomBytes(100_000), 0, 100_000, 0);
  await file.write(randomBytes(100_000), 0, 100_000, 1024 * 1024 - 50_000);
  await file.write(Buffer.alloc(8 * 1024 * 1024), 0, null, 16 * 1024 * 1024);
  await file.write(randomBytes(100_000), 0, 100_000, size - 100_000);
});

after(() => rm(directory, { recursive: true, force: true }));

async function isFaithful(copy: string): Promise<void> {
  assert.ok((await readFile(source)).equals(await readFile(copy)));
  const found = await stat(copy);
  assert.equal(found.mode & 0o777, 0o600);
  // Neither the holes nor the zeros that the source has written out.
  assert.ok(found.blocks * 512 < 2 * dataBytes, `${found.blocks} blocks`);
}

test("a copy is the same and no larger than its data", async () => {
  const copy = join(directory, "copy");
  await copySparse(source, copy);
  await isFaithful(copy);
});

test("so is one that is made block by block", async () => {
  const copy = join(directory, "by-blocks");
  await copySparseByBlocks(source, copy);
  await isFaithful(copy);
});

test("without cp the blocks are copied here", async () => {
  const copy = join(directory, "no-cp");
  const path = process.env["PATH"];
  process.env["PATH"] = join(directory, "nowhere");
  try {
    await copySparse(source, copy);
  } finally {
    process.env["PATH"] = path;
  }
  await isFaithful(copy);
});

test("an empty file, and one that is only a hole", async () => {
  for (const length of [0, 5 * 1024 * 1024 + 1]) {
    const hole = join(directory, `hole-${length}`);
    await writeFile(hole, "");
    await using file = await open(hole, "r+");
    await file.truncate(length);
    for (const copy of [copySparse, copySparseByBlocks]) {
      const target = join(directory, `${copy.name}-${length}`);
      await copy(hole, target);
      const found = await stat(target);
      assert.deepEqual([found.size, found.blocks], [length, 0]);
    }
  }
});

test("what is in the way stays, a link is not followed", async () => {
  const taken = join(directory, "taken");
  await writeFile(taken, "mine");
  const link = join(directory, "link");
  await symlink("linked", link);
  for (const target of [taken, link]) await assert.rejects(copySparse(source, target), IoError);
  assert.equal(await readFile(taken, "utf8"), "mine");
  await assert.rejects(stat(join(directory, "linked")), { code: "ENOENT" });
});

test("a source that is missing leaves nothing", async () => {
  const target = join(directory, "of-nothing");
  await assert.rejects(copySparse(join(directory, "missing"), target), IoError);
  await assert.rejects(stat(target), { code: "ENOENT" });
});

test("given up: nothing is left", async () => {
  const target = join(directory, "given-up");
  const reason = new Error("enough");
  await assert.rejects(copySparse(source, target, AbortSignal.abort(reason)), reason);
  const later = new AbortController();
  const copying = copySparse(source, target, later.signal);
  later.abort(reason);
  await assert.rejects(copying, reason);
  await assert.rejects(stat(target), { code: "ENOENT" });
});

test("a copy that is ready is made when it is told to, and leaves nothing when it is not", async () => {
  const [from, to] = [join(directory, "ready"), join(directory, "made")];
  await writeFile(from, "first");
  using ready = await readyToCopy(from, to);
  await writeFile(from, "then");
  await assert.rejects(stat(to), /ENOENT/);
  await ready.begin();
  assert.equal(await readFile(to, "utf8"), "then");
  assert.equal((await stat(to)).mode & 0o777, 0o600);
  using refused = await readyToCopy(from, to);
  await writeFile(from, "later");
  await assert.rejects(refused.begin(), IoError);
  assert.equal(await readFile(to, "utf8"), "then");
  (await readyToCopy(from, join(directory, "unmade")))[Symbol.dispose]();
  await assert.rejects(stat(join(directory, "unmade")), /ENOENT/);
});
