import assert from "node:assert/strict";
import { open, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { hashSparseFile, hashTemplate, markDurable, verifyTemplate } from "./template-hashes.ts";
import { lockTemplate, stageTemplate } from "./template-staging.ts";
import { openTemplate } from "./templates.ts";
import { parseTemplateRecord } from "./template-record.ts";
import {
  imageDetails,
  keyA,
  keyB,
  machineDetails,
  make,
  TemplateHome,
} from "../../../test/support/template-support.ts";

test("what is on the disk for certain is noted", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA, { details: imageDetails });
  assert.ok(created !== null);
  assert.equal(await markDurable(home, created), true);
  const record = parseTemplateRecord(await readFile(created.paths.record, "utf8"));
  assert.deepEqual(record, { ...created.record, durable: true });
  assert.equal((await stat(created.paths.record)).mode & 0o777, 0o600);
  const opened = (await openTemplate(home, keyA)).template;
  assert.deepEqual(opened?.record, record);
});

test("a template that was replaced meanwhile is neither noted nor hashed", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const first = await make(home, keyA);
  const second = await make(home, keyA);
  assert.ok(first !== null && second !== null);
  assert.equal(await markDurable(home, first), false);
  assert.equal(await hashTemplate(home, first), false);
  assert.deepEqual((await openTemplate(home, keyA)).template, second);
  assert.equal((await readdir(second.directory)).includes("hashes.json"), false);
});

test("contents are compared with their hashes", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA, { details: imageDetails });
  assert.ok(created !== null);
  const verdict = async (): Promise<string> => {
    const { status, detail } = await verifyTemplate(home, keyA);
    return `${status} ${detail}`.trim();
  };
  assert.equal(await verdict(), "unchecked its hashes were never computed");
  assert.equal(await hashTemplate(home, created), true);
  assert.equal(await verdict(), "verified");

  // One byte of the memory turns, and every look from outside is as before.
  const before = await stat(created.paths.memory, { bigint: true });
  const memory = await open(created.paths.memory, "r+");
  await memory.write("M", 63 * 1024 * 1024 + 600);
  await memory.close();
  const seconds = Number(before.mtimeNs) / 1e9;
  await utimes(created.paths.memory, seconds, seconds);
  const { mtimeNs } = await stat(created.paths.memory, { bigint: true });
  const { record } = created;
  const files = { ...record.files, memory: { ...record.files["memory"], mtimeNs: String(mtimeNs) } };
  await writeFile(created.paths.record, JSON.stringify({ ...record, files }));
  assert.ok((await openTemplate(home, keyA)).template !== null);
  assert.equal(await verdict(), "damaged the content of memory is not what was saved");

  await writeFile(created.paths.hashes, "{");
  assert.equal(await verdict(), "unchecked hashes.json is not valid");
  await writeFile(created.paths.hashes, JSON.stringify({ format: 1, files: {} }));
  assert.equal(await verdict(), "unchecked hashes.json does not know memory");
  await writeFile(created.paths.state, "longer than it was");
  assert.equal(await verdict(), "damaged state has 18 bytes instead of 5");
});

test("one that is not there, and one that cannot be made", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  assert.equal((await verifyTemplate(home, keyA)).status, "unchecked");
  await using lock = await lockTemplate(home, keyB);
  await using staged = await stageTemplate(home);
  await staged.commitUnusable(lock, machineDetails, "no");
  assert.equal((await verifyTemplate(home, keyB)).status, "verified");
});

test("a hash tells every change, and not where the holes are", async () => {
  await using scope = await TemplateHome.create();
  const path = join(scope.home.root, "file");
  const size = 3 * 1024 * 1024 + 5;
  const hashes = new Set<string>();
  const bytes = Buffer.alloc(size);
  for (const at of [null, 0, 1, 1024 * 1024, 2 * 1024 * 1024 + 1, size - 1]) {
    bytes.fill(0);
    if (at !== null) bytes[at] = 1;
    await writeFile(path, bytes);
    hashes.add(await hashSparseFile(path));
  }
  await writeFile(path, bytes.subarray(0, size - 1));
  hashes.add(await hashSparseFile(path));
  assert.equal(hashes.size, 7);
  await writeFile(path, bytes);
  await copySparse(path, `${path}.sparse`);
  assert.ok((await stat(`${path}.sparse`)).blocks < (await stat(path)).blocks);
  assert.ok(hashes.has(await hashSparseFile(`${path}.sparse`)));
});

test("given up", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA);
  assert.ok(created !== null);
  await hashTemplate(home, created);
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(markDurable(home, created, signal), /enough/);
  await assert.rejects(hashTemplate(home, created, signal), /enough/);
  await assert.rejects(verifyTemplate(home, keyA, signal), /enough/);
});
