import assert from "node:assert/strict";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { directory, entry, file, link, treeListing } from "../../../test/support/tree-support.ts";
import { InvalidConfigError, IoError } from "../../errors/index.ts";
import { HeldDirectory } from "../contained/held-directory.ts";
import { shownPath, type TreeEvent } from "./tree.ts";
import type { TreeResult } from "./tree-result.ts";
import { TreeWriter, type TreeWriterOptions } from "./tree-writer.ts";

let base = "";
/** Where trees go, and what they must not reach. */
let place = "";
let victim = "";

before(async () => {
  base = await mkdtemp(join(tmpdir(), "tree-writer-"));
  place = join(base, "place");
  victim = join(base, "victim");
});

after(() => rm(base, { recursive: true, force: true }));

beforeEach(async () => {
  await rm(place, { recursive: true, force: true });
  await rm(victim, { recursive: true, force: true });
  await mkdir(place);
  await mkdir(victim);
  await writeFile(join(victim, "secret"), "untouched");
});

async function write(events: readonly TreeEvent[], options?: TreeWriterOptions): Promise<TreeResult> {
  await using writer = await TreeWriter.open(place, options);
  await writer.write(events);
  const result = await writer.finish();
  assert.deepEqual(await readdir(victim), ["secret"]);
  assert.equal(await readFile(join(victim, "secret"), "utf8"), "untouched");
  return result;
}

function reasons(result: TreeResult): Record<string, string> {
  return Object.fromEntries(result.refused.map(({ path, reason }) => [shownPath(path), reason]));
}

test("no name leads out of the directory", async () => {
  const bad = [
    "../x",
    "/x",
    "a/../../x",
    "..",
    ".",
    "a//b",
    "a/",
    "./x",
    "a/.",
    "a\0b",
    `${"d/".repeat(513)}x`,
  ];
  const result = await write([
    ...directory("a"),
    ...bad.flatMap((path) => file(path, "evil")),
    ...file("good", "good"),
  ]);
  assert.deepEqual(reasons(result), Object.fromEntries(bad.map((path) => [path, "name"])));
  assert.deepEqual((await readdir(place)).sort(), ["a", "good"]);
  assert.deepEqual(await readdir(base), ["place", "victim"]);
});

test("a link that the tree brings is not a way out", async () => {
  const result = await write([
    ...link("out", victim),
    ...file("out/secret", "evil"),
    ...directory("out"),
    ...file("out/secret", "evil"),
    ...link("up", ".."),
    ...file("up/victim/secret", "evil"),
    ...directory("d"),
    ...link("d/secret", join(victim, "secret")),
    ...file("d/secret", "replaces the link"),
  ]);
  assert.deepEqual(reasons(result), { "out/secret": "order", out: "occupied", "up/victim/secret": "order" });
  assert.equal(await readFile(join(place, "d/secret"), "utf8"), "replaces the link");
});

test("neither is one that stands there", async () => {
  await symlink(victim, join(place, "d"));
  await symlink(join(victim, "secret"), join(place, "f"));
  await symlink(victim, join(place, "l"));
  const events = [
    ...directory("d"),
    ...file("d/secret", "evil"),
    ...file("f", "new"),
    ...link("l", "elsewhere"),
  ];
  const result = await write(events);
  assert.deepEqual(reasons(result), { d: "occupied", "d/secret": "order" });
  assert.equal(await readFile(join(place, "f"), "utf8"), "new");
});

test("nor is the name of the root", async () => {
  await symlink(victim, join(place, "d"));
  const result = await write([...directory(""), ...file("secret", "evil")], { name: "d" });
  assert.deepEqual(reasons(result), { "": "occupied", secret: "order" });
  for (const name of ["", ".", "..", "a/b", "/a", "a\0"]) {
    await assert.rejects(TreeWriter.open(place, { name }), InvalidConfigError);
  }
});

test("a file takes the place of no directory, and a directory that of nothing else", async () => {
  await mkdir(join(place, "d/full"), { recursive: true });
  await writeFile(join(place, "f"), "a file");
  const result = await write([
    ...file("d", "no"),
    ...link("d", "no"),
    ...directory("f"),
    ...file("f/below", "no"),
    ...directory("e"),
    ...file("e", "no"),
    entry("pipe", "other"),
  ]);
  assert.deepEqual(reasons(result), {
    d: "occupied",
    f: "occupied",
    "f/below": "order",
    e: "occupied",
    pipe: "special",
  });
  assert.deepEqual((await readdir(place)).sort(), ["d", "e", "f"]);
});

test("what comes before its directory, or after it was left, is refused", async () => {
  const result = await write([
    ...file("a/early", "x"),
    ...directory("a"),
    ...directory("b"),
    ...file("a/late", "x"),
    ...directory("ab"),
    ...file("ab/c", "in order"),
  ]);
  assert.deepEqual(reasons(result), { "a/early": "order", "a/late": "order" });
  assert.equal(await readFile(join(place, "ab/c"), "utf8"), "in order");
});

test("setuid, setgid and sticky bits are dropped, whoever is to be the owner", async () => {
  const events = [...file("su", "x", { mode: 0o6755 }), ...directory("t", { mode: 0o3777 })];
  const modes = async (): Promise<number[]> =>
    await Promise.all(["su", "t"].map(async (name) => (await stat(join(place, name))).mode & 0o7777));
  await write(events);
  assert.deepEqual(await modes(), [0o755, 0o777]);
  await rm(join(place, "t"), { recursive: true });
  if (process.getuid?.() !== 0) return;
  await write(events, { owners: true });
  assert.deepEqual(await modes(), [0o755, 0o777]);
});

test("a directory that was there keeps its mode, owner and time; one that is made in it gets its own", async () => {
  const old = join(place, ".ssh");
  await mkdir(join(old, "inner"), { recursive: true });
  await chmod(join(old, "inner"), 0o710);
  await chmod(old, 0o700);
  const owner = process.getuid?.() === 0 ? 1234 : -1;
  if (owner > 0) await chown(old, owner, owner);
  const before = await stat(old);
  const mode = { mode: 0o777, uid: 0, gid: 0 };
  await write(
    [
      ...directory(".ssh", mode),
      ...directory(".ssh/inner", mode),
      ...directory(".ssh/new", mode),
      ...file(".ssh/f", "x"),
    ],
    { owners: owner > 0 },
  );
  const after = await stat(old);
  assert.deepEqual([after.mode, after.uid, after.gid], [before.mode, before.uid, before.gid]);
  assert.ok(after.mtimeMs >= before.mtimeMs, "it was written to");
  assert.equal((await stat(join(old, "inner"))).mode & 0o777, 0o710);
  const made = await stat(join(old, "new"));
  assert.deepEqual([made.mode & 0o777, made.mtimeMs], [0o777, 1000]);
});

test("names that the system refuses are told, and the others written", async () => {
  const result = await write([
    ...file("n".repeat(256), "x"),
    ...file("n".repeat(255), "x"),
    ...link("empty", ""),
  ]);
  assert.deepEqual(reasons(result), { ["n".repeat(256)]: "system", empty: "system" });
  assert.match(result.refused[0]?.message ?? "", /^ENAMETOOLONG: name too long$/u);
  assert.deepEqual(await readdir(place), ["n".repeat(255)]);
});

test("so many refusals are kept and all are counted", async () => {
  const result = await write(Array.from({ length: 5000 }, (_, index) => entry(`../${index}`, "symlink")));
  assert.equal(result.refused.length, 1000);
  assert.equal(result.refusedCount, 5000);
});

const noTrees: Record<string, readonly TreeEvent[]> = {
  "content without a file": [{ type: "data", bytes: Buffer.from("x") }],
  "too much content": [...file("a", "abc", { size: 2 })],
  "too little content": [...file("a", "abc", { size: 4 }), ...file("b", "")],
  "a hole that is too long": [...file("a", "", { size: 4 }), { type: "hole", length: 5 }],
  "a negative hole": [...file("a", "", { size: 4 }), { type: "hole", length: -1 }],
  "a size that is none": [...file("a", "", { size: Number.NaN })],
};

for (const [what, events] of Object.entries(noTrees)) {
  test(`${what} is no tree, and nothing is left of it`, async () => {
    await assert.rejects(
      write(events),
      (error) => error instanceof IoError && error.message.includes("no tree"),
    );
    assert.deepEqual(await readdir(place), []);
  });
}

test("a tree that ends within a file leaves nothing of it, even when it is large", async () => {
  const bytes = Buffer.alloc(200_000, 1);
  const events: TreeEvent[] = [
    ...file("whole", "whole"),
    ...file("half", "", { size: 300_000 }),
    { type: "data", bytes },
  ];
  await assert.rejects(write(events), /ends within a file/u);
  assert.deepEqual(await readdir(place), ["whole"]);
});

test("a file that ends with a hole, and one that is nothing else", async () => {
  const MiB = 1024 * 1024;
  await write([
    entry("tail", "file", { size: 2 * MiB }),
    { type: "data", bytes: Buffer.from("begin") },
    { type: "hole", length: 2 * MiB - 5 },
    entry("hole", "file", { size: 10 * MiB }),
    { type: "hole", length: 10 * MiB },
  ]);
  for (const [name, size] of [
    ["tail", 2 * MiB],
    ["hole", 10 * MiB],
  ] as const) {
    const found = await stat(join(place, name));
    assert.equal(found.size, size);
    assert.ok(found.blocks * 512 < 64 * 1024);
  }
});

/** What a file system does that does not tell capitals from small letters: every name leads to one. */
class FoldingDirectory extends HeldDirectory {
  override at(name: Uint8Array | string): Buffer {
    const text = Buffer.from(name).toString("latin1");
    return super.at(Buffer.from(text.toLowerCase(), "latin1"));
  }
}

test("twins on a file system that folds names do not overwrite one another", async () => {
  await writeFile(join(place, "older"), "of the host");
  await using writer = await TreeWriter.into(await FoldingDirectory.open(place), place);
  await writer.write([
    ...file("Readme", "first"),
    ...file("README", "second"),
    ...link("readme", "third"),
    ...file("OLDER", "replaces what was there before"),
    ...directory("Sub"),
    ...file("Sub/a", "first"),
    ...file("Sub/A", "second"),
    ...directory("SUB"),
    ...file("SUB/b", "of the twin"),
    ...file("1", "no letter"),
  ]);
  const result = await writer.finish();
  assert.deepEqual(reasons(result), {
    README: "twin",
    readme: "twin",
    "Sub/A": "twin",
    SUB: "twin",
    "SUB/b": "order",
  });
  assert.equal(await readFile(join(place, "readme"), "utf8"), "first");
  assert.equal(await readFile(join(place, "sub/a"), "utf8"), "first");
  assert.equal(await readFile(join(place, "older"), "utf8"), "replaces what was there before");
});

test("where names are not folded, twins are two", async () => {
  await write([
    ...file("a", "small"),
    ...file("A", "capital"),
    ...directory("d"),
    ...file("d/x", ""),
    ...file("d/X", ""),
  ]);
  assert.equal((await treeListing(place)).length, 6);
});
