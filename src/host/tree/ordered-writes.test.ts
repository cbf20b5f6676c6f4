import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { open, readFile, stat, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OrderedWrites } from "./ordered-writes.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-writes-"));
after(() => {
  rmSync(directory, { recursive: true });
});

test("pieces of any size and holes end up where they belong, though each one is changed once it was taken", async () => {
  const path = join(directory, "mixed");
  await using handle = await open(path, "wx");
  const writes = new OrderedWrites(() => Promise.resolve(handle), false);
  const expected: Buffer[] = [];
  const piece = Buffer.alloc(700_000);
  for (const [index, size] of [1, 65536, 700_000, 262_144, 13, 400_000].entries()) {
    const bytes = piece.fill(index + 1).subarray(0, size);
    expected.push(Buffer.from(bytes));
    await writes.add(bytes);
    bytes.fill(0xee);
    if (index % 2 === 1) {
      await writes.skip(100_000);
      expected.push(Buffer.alloc(100_000));
    }
  }
  await writes.add(piece.fill(9).subarray(0, 5));
  expected.push(Buffer.alloc(5, 9));
  await writes.end();
  const all = Buffer.concat(expected);
  assert.equal(writes.position, all.length);
  assert.ok((await readFile(path)).equals(all));
});

test("of a small file nothing is opened or written before its end", async () => {
  const path = join(directory, "small");
  const handles: FileHandle[] = [];
  const writes = new OrderedWrites(async () => {
    const handle = await open(path, "w");
    handles.push(handle);
    return handle;
  }, true);
  const piece = Buffer.from("some");
  await writes.add(piece);
  piece.fill(0);
  await writes.add(Buffer.from("thing"));
  assert.equal(handles.length, 0);
  await writes.end();
  assert.equal(await readFile(path, "utf8"), "something");
  assert.equal(handles.length, 1);
  await handles[0]?.close();
});

test("what a step fails with is told by the next one, and nothing goes on after a drop", async () => {
  const path = join(directory, "read-only");
  await (await open(path, "wx")).close();
  await using handle = await open(path, "r");
  const writes = new OrderedWrites(() => Promise.resolve(handle), false);
  await writes.add(Buffer.alloc(300_000));
  await assert.rejects(writes.add(Buffer.alloc(300_000)), { code: "EBADF" });
  await writes.drop();
  await assert.rejects(writes.end(), { code: "EBADF" });
  assert.equal((await stat(path)).size, 0);
});
