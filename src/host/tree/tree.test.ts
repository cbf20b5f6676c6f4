import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, open, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { treeListing } from "../../../test/support/tree-support.ts";
import { IoError } from "../../errors/index.ts";
import { readTree, type ReadTreeOptions } from "./read-tree.ts";
import { shownPath, type TreeEntry, type TreeEvent } from "./tree.ts";
import type { TreeResult } from "./tree-result.ts";
import { TreeWriter, type TreeWriterOptions } from "./tree-writer.ts";

const run = promisify(execFile);
let base = "";
let source = "";

before(async () => {
  base = await mkdtemp(join(tmpdir(), "tree-"));
  source = join(base, "source");
  await mkdir(join(source, "deep/er"), { recursive: true });
  await mkdir(join(source, "empty"));
  await mkdir(join(source, "many"));
  await writeFile(join(source, "script"), "#!/bin/sh\n", { mode: 0o755 });
  await writeFile(join(source, "nothing"), "");
  await writeFile(join(source, "deep/er/large"), randomBytes(700_001));
  await writeFile(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0xfe, 0x0a])]), "bytes");
  await writeFile(join(source, "n".repeat(255)), "long");
  for (let index = 0; index < 500; index++) {
    await writeFile(join(source, "many", String(index)), randomBytes(index * 3));
  }
  await symlink("../script", join(source, "deep/link"));
  await symlink("/nowhere/at/all", join(source, "dangling"));
  await chmod(join(source, "nothing"), 0o640);
  await using sparse = await open(join(source, "sparse"), "wx");
  await sparse.truncate(3 * 1024 * 1024 + 5);
  await sparse.write(randomBytes(10_000), 0, 10_000, 1024 * 1024);
  // To the microsecond: what is finer is not kept.
  await run("find", [source, "-exec", "touch", "-h", "-d", "2021-02-03 04:05:06.123456", "{}", "+"]);
  await run("touch", ["-h", "-d", "1961-02-03 04:05:06.75", join(source, "dangling")]);
  await chmod(join(source, "empty"), 0o511);
});

after(() => rm(base, { recursive: true, force: true }));

async function copy(
  from: string,
  to: string,
  reading: ReadTreeOptions = {},
  writing: TreeWriterOptions = {},
): Promise<TreeResult> {
  await using writer = await TreeWriter.open(to, writing);
  for await (const events of readTree(from, reading)) await writer.write(events);
  return await writer.finish();
}

async function entriesOf(path: string, options: ReadTreeOptions = {}): Promise<Map<string, TreeEntry>> {
  const entries = new Map<string, TreeEntry>();
  for await (const events of readTree(path, options)) {
    for (const event of events) {
      if (event.type === "entry") entries.set(shownPath(event.entry.path), event.entry);
    }
  }
  return entries;
}

test("a tree is copied as it is: contents, names of any bytes, modes, times, links, holes", async () => {
  const result = await copy(source, base, {}, { name: "copy" });
  assert.deepEqual(result.refused, []);
  assert.equal(result.files, 506);
  assert.equal(result.directories, 5);
  assert.equal(result.symlinks, 2);
  assert.deepEqual(await treeListing(join(base, "copy")), await treeListing(source));
  const sparse = await stat(join(base, "copy/sparse"));
  assert.ok(sparse.blocks * 512 < 100_000, `${sparse.blocks} blocks`);
});

test("copied again it takes the place of what is there, and leaves the rest", async () => {
  const target = join(base, "again");
  await copy(source, base, {}, { name: "again" });
  await writeFile(join(target, "script"), "changed");
  await writeFile(join(target, "own"), "stays");
  await copy(source, target);
  // A directory that was there has the time at which it was written to.
  const listed = async (root: string): Promise<string[]> =>
    (await treeListing(root)).filter((line) => !line.startsWith("/own ") && !line.includes("/ "));
  assert.deepEqual(await listed(target), await listed(source));
});

test("a single file gets the name that it is to have", async () => {
  await copy(join(source, "script"), base, {}, { name: "renamed" });
  assert.equal((await stat(join(base, "renamed"))).mode & 0o777, 0o755);
});

test("a link that was named is followed only when asked for", async () => {
  await symlink("source", join(base, "to-source"));
  assert.equal((await entriesOf(join(base, "to-source"))).get("")?.kind, "symlink");
  const followed = await entriesOf(join(base, "to-source"), { followRoot: true });
  assert.equal(followed.get("")?.kind, "directory");
  assert.equal(followed.get("deep/link")?.kind, "symlink");
});

test("links in the tree are followed when asked for, unless they lead in a circle or nowhere", async () => {
  const tree = join(base, "links");
  await mkdir(join(tree, "inner"), { recursive: true });
  await symlink(source, join(tree, "out"));
  await rm(join(source, "dangling"));
  const entries = await entriesOf(tree, { followAll: true });
  assert.equal(entries.get("out/deep/link")?.kind, "file");
  await symlink("..", join(tree, "inner/circle"));
  await assert.rejects(entriesOf(tree, { followAll: true }), /inner\/circle: a link leads back/u);
  await rm(join(tree, "inner/circle"));
  await symlink("nowhere", join(tree, "inner/dangling"));
  await assert.rejects(entriesOf(tree, { followAll: true }), (error) => {
    return error instanceof IoError && error.message.includes("inner/dangling: ENOENT");
  });
});

test("what is neither file, directory nor link is told of, and not opened", async () => {
  const tree = join(base, "special");
  await mkdir(tree);
  await run("mkfifo", [join(tree, "pipe")]);
  const entries = await entriesOf(tree);
  assert.equal(entries.get("pipe")?.kind, "other");
  const result = await copy(tree, base, {}, { name: "special-copy" });
  assert.deepEqual(
    result.refused.map(({ path, reason }) => [shownPath(path), reason]),
    [["pipe", "special"]],
  );
});

test("recycled buffers are there until the next batch but two", async () => {
  const long = join(base, "long");
  const content = randomBytes(20 * 65_537);
  await mkdir(long);
  // Five of the small ones fill a batch; in their names' order they are the content.
  for (let index = 0; index < 20; index++) {
    await writeFile(join(long, String(100 + index)), content.subarray(index * 65_537, (index + 1) * 65_537));
  }
  await writeFile(join(long, "large"), content);
  const kept = new Map<string, Buffer[]>();
  let name = "";
  const waiting: TreeEvent[][] = [];
  const take = (events: readonly TreeEvent[] = []): void => {
    for (const event of events) {
      if (event.type === "entry") kept.set((name = shownPath(event.entry.path)), []);
      else if (event.type === "data") kept.get(name)?.push(Buffer.from(event.bytes));
    }
  };
  for await (const events of readTree(long, { recycle: true })) {
    waiting.push(events);
    if (waiting.length === 3) take(waiting.shift());
  }
  for (const events of waiting) take(events);
  const names = [...kept.keys()].sort();
  assert.ok(
    Buffer.concat(names.flatMap((key) => kept.get(key) ?? [])).equals(Buffer.concat([content, content])),
  );
});

test("an abort ends it with the signal's reason, and closes what was open", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  await assert.rejects(
    async () => {
      for await (const events of readTree(source, { signal: controller.signal })) {
        if (events.length > 0) controller.abort(reason);
      }
    },
    (error) => error === reason,
  );
});

test("a path that is not there is told by its name", async () => {
  await assert.rejects(entriesOf(join(base, "missing")), (error) => {
    return error instanceof IoError && error.message.includes("missing");
  });
  await assert.rejects(TreeWriter.open(join(base, "missing")), IoError);
});

test("a sparse file comes as it is through buffers that are used again", async () => {
  const path = join(base, "islands");
  const megabyte = 1024 * 1024;
  await using file = await open(path, "wx+");
  await file.truncate(64 * megabyte);
  // Islands of data in seas of holes, and some chunks that are whole: a batch has the remains of many chunks.
  for (let at = 0; at < 64; at += 3) await file.write(randomBytes(4096), 0, 4096, at * megabyte);
  await file.write(randomBytes(megabyte), 0, megabyte, 32 * megabyte);
  const expected = Buffer.alloc(64 * megabyte);
  await file.read(expected, 0, expected.length, 0);
  const found = Buffer.alloc(64 * megabyte);
  const batches: TreeEvent[][] = [];
  let offset = 0;
  const use = (batch: TreeEvent[] | undefined): void => {
    for (const event of batch ?? []) {
      if (event.type === "data") found.set(event.bytes, offset);
      if (event.type !== "entry") offset += event.type === "data" ? event.bytes.length : event.length;
    }
  };
  for await (const batch of readTree(path, { recycle: true })) {
    // What a batch has is looked at as late as may be.
    if (batches.push(batch) > 2) use(batches.shift());
  }
  for (const batch of batches) use(batch);
  assert.equal(offset, expected.length);
  assert.ok(found.equals(expected));
});
