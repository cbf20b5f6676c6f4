import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { deepTree, withFewDescriptors } from "../../../test/support/few-descriptors.ts";
import { InvalidConfigError, IoError, OperationTimeoutError, SandboxFsError } from "../../errors/index.ts";
import { treeUsage } from "../../host/contained/tree-usage.ts";
import { VolumeFs } from "./volume-fs.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-volume-fs-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});
const root = join(directory, "volume");
const outside = join(directory, "outside");
const fs = new VolumeFs(root);

beforeEach(() => {
  for (const path of [root, outside]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
  writeFileSync(join(outside, "secret"), "secret");
});

test("writes and reads, with the directories on the way", async () => {
  await fs.write("/a/b/c.txt", "first");
  await fs.write("a/b/c.txt", Buffer.from("hällo"));
  assert.equal(await fs.readToString("//a/./b/../b/c.txt"), "hällo");
  assert.deepEqual(readdirSync(join(root, "a/b")), ["c.txt"]);
  assert.equal(statSync(join(root, "a/b/c.txt")).mode & 0o7777, 0o644);
  assert.deepEqual(
    (await fs.list("a")).map(({ path, kind }) => [path, kind]),
    [["/a/b", "directory"]],
  );
  assert.deepEqual(
    (await fs.list("")).map(({ path }) => path),
    ["/a"],
  );
  assert.deepEqual(
    (await fs.list("/")).map(({ path }) => path),
    ["/a"],
  );
});

test("a file that is replaced keeps its mode, and whoever has it open its content", async () => {
  writeFileSync(join(root, "f"), "old", { mode: 0o600 });
  linkSync(join(root, "f"), join(root, "second"));
  await fs.write("f", "new");
  assert.equal(statSync(join(root, "f")).mode & 0o7777, 0o600);
  assert.equal(readFileSync(join(root, "second"), "utf8"), "old");
});

test("streams: what is written shows when it is closed, and not at all after a failure", async () => {
  const sink = await fs.writeStream("dir/s");
  await Promise.all([sink.write("one "), sink.write(Buffer.from("two "))]);
  await sink.write("three");
  assert.equal(await fs.exists("dir/s"), false);
  await sink.close();
  await sink.close();
  await assert.rejects(sink.write("late"), SandboxFsError);
  await using stream = await fs.readStream("dir/s");
  assert.equal((await stream.collect()).toString(), "one two three");
  assert.equal(await stream.recv(), null);
  truncateSync(join(root, "dir/s"), 7 * 1024 * 1024);
  const sizes: number[] = [];
  for await (const chunk of await fs.readStream("dir/s")) sizes.push(chunk.length);
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    7 * 1024 * 1024,
  );
  assert.ok(Math.max(...sizes) <= 3 * 1024 * 1024);
  const doomed = await fs.writeStream("dir/s");
  rmSync(join(root, "dir"), { recursive: true });
  await assert.rejects(doomed.close(), IoError);
});

test("looks at a link itself, and reads and writes through one that stays inside", async () => {
  await fs.write("real/file", "x");
  symlinkSync("real/file", join(root, "link"));
  symlinkSync("nowhere", join(root, "dangling"));
  assert.equal((await fs.stat("link")).kind, "symlink");
  assert.equal((await fs.stat("dangling")).kind, "symlink");
  await fs.write("link", "through");
  assert.equal(readFileSync(join(root, "real/file"), "utf8"), "through");
  assert.equal(readlinkSync(join(root, "link")), "real/file");
  await fs.remove("link");
  assert.equal(await fs.exists("real/file"), true);
});

test("directories: made with those above, removed with all in them, the root never", async () => {
  await fs.mkdir("x/y/z");
  await fs.mkdir("x/y/z");
  await fs.write("x/y/f", "1");
  await assert.rejects(fs.mkdir("x/y/f"), IoError);
  await assert.rejects(fs.remove("x"), IoError);
  await fs.removeDir("x");
  assert.equal(await fs.exists("x"), false);
  for (const path of ["", "/", "."]) await assert.rejects(fs.removeDir(path), SandboxFsError);
  await assert.rejects(fs.removeDir("x"), IoError);
});

test("copies and renames, files and trees", async () => {
  await fs.write("t/one", "1");
  await fs.write("t/sub/two", "2");
  symlinkSync("one", join(root, "t/link"));
  await fs.copy("t", "made/copy");
  assert.equal(await fs.readToString("made/copy/sub/two"), "2");
  assert.equal(readlinkSync(join(root, "made/copy/link")), "one");
  await fs.copy("t/one", "made/copy/sub/two");
  assert.equal(await fs.readToString("made/copy/sub/two"), "1");
  await fs.rename("made/copy", "far/away");
  assert.equal(await fs.readToString("far/away/one"), "1");
  for (const to of ["t", "t/in", "t/sub/in/deeper"]) await assert.rejects(fs.copy("t", to), IoError);
  await assert.rejects(fs.copy("nothing", "b"), IoError);
});

test("copies a tree that is deeper than a process may have files open, with its modes", async () => {
  const bottom = deepTree(join(root, "deep"));
  const closed = join(root, "deep/d/d/closed");
  mkdirSync(closed);
  writeFileSync(join(closed, "f"), "x");
  chmodSync(closed, 0o555);
  const code = `
import { VolumeFs } from ${JSON.stringify(import.meta.resolve("./volume-fs.ts"))};
await new VolumeFs(process.argv[2]).copy("deep", "copy");`;
  await withFewDescriptors(code, root);
  assert.equal(readFileSync(join(root, "copy", bottom), "utf8"), "reached");
  assert.equal(statSync(join(root, "copy/d/d/closed")).mode & 0o777, 0o555);
  assert.equal(readFileSync(join(root, "copy/d/d/closed/f"), "utf8"), "x");
});

test("lists names that are no text, in bytes", async () => {
  const name = Buffer.from([0x61, 0xff, 0xfe]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), "12345");
  writeFileSync(join(root, "ä"), "");
  const entries = (await fs.list(".")).sort((a, b) => b.size - a.size);
  assert.deepEqual(
    entries.map(({ path, isUtf8, size }) => [path, isUtf8, size]),
    [
      ["/a\ufffd\ufffd", false, 5],
      ["/ä", true, 0],
    ],
  );
  assert.deepEqual(entries[0]?.pathBytes, Buffer.concat([Buffer.from("/"), name]));
});

test("tells what is not there, no text, and no file", async () => {
  await assert.rejects(
    fs.read("nothing"),
    (error) => error instanceof IoError && /ENOENT/.test(error.message),
  );
  writeFileSync(join(root, "bytes"), Buffer.from([0xff, 0xfe]));
  await assert.rejects(fs.readToString("bytes"), SandboxFsError);
  await assert.rejects(fs.read("bytes\0"), { code: "invalidConfig" });
  execFileSync("mkfifo", [join(root, "pipe")]);
  await assert.rejects(fs.read("pipe"), IoError);
  await assert.rejects(fs.write("pipe", "x"), IoError);
  await assert.rejects(fs.copy("pipe", "p2"), IoError);
  assert.equal((await fs.stat("pipe")).kind, "other");
  assert.equal((await fs.stat("")).kind, "directory");
});

const everyCall = (path: string): readonly (() => Promise<unknown>)[] => [
  () => fs.read(path),
  () => fs.write(path, "overwritten"),
  () => fs.readStream(path),
  () => fs.writeStream(path),
  () => fs.list(path),
  () => fs.copy(path, "stolen"),
  () => fs.copy("mine", path),
  () => fs.mkdir(path),
];
/** These do not follow the last name. */
const everyCallBelow = (path: string): readonly (() => Promise<unknown>)[] => [
  ...everyCall(path),
  () => fs.stat(path),
  () => fs.exists(path),
  () => fs.remove(path),
  () => fs.removeDir(path),
  () => fs.rename(path, "stolen"),
  () => fs.rename("mine", path),
];

test("nothing leads out: neither .. nor a link, at the end of a path or on the way", async () => {
  await fs.write("mine", "mine");
  mkdirSync(join(root, "d"));
  symlinkSync("../outside", join(root, "out"));
  symlinkSync(outside, join(root, "absolute"));
  symlinkSync("../../outside/secret", join(root, "d/file"));
  symlinkSync("d/../../outside", join(root, "round"));
  symlinkSync("/proc/self/root", join(root, "proc"));
  const ends = ["out", "absolute", "d/file", "round", "proc"].flatMap(everyCall);
  const below = [
    "../outside/secret",
    "d/../../outside/secret",
    "out/secret",
    "absolute/secret",
    "round/secret",
  ];
  for (const call of [...ends, ...below.flatMap(everyCallBelow)]) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof SandboxFsError, `${String(call)}: ${String(error)}`);
      assert.match(error.message, /outside the volume root/);
      return true;
    });
  }
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
  // A link's own name is inside, wherever it leads.
  await fs.remove("out");
  assert.ok(existsSync(join(outside, "secret")));
});

test(
  "links that are planted between two steps lead nowhere either",
  { skip: process.platform !== "linux" },
  async () => {
    // Swaps, as fast as it can, a directory and a file for links that lead out.
    const swapper = spawn(process.execPath, ["-e", swapping, root, outside], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(swapper.stdout, "data");
      for (let round = 0; round < 150; round += 1) {
        const calls = [
          fs.write("dir/f", "inside"),
          fs.read("dir/secret"),
          fs.read("file"),
          fs.write("file", "inside"),
          fs.copy("dir", `copy${round % 3}`),
          fs.removeDir("dir/victim"),
          fs.list("dir"),
          treeUsage(root),
        ];
        for (const result of await Promise.allSettled(calls)) {
          if (result.status === "rejected") continue;
          if (Buffer.isBuffer(result.value)) assert.notEqual(result.value.toString(), "secret");
          if (Array.isArray(result.value))
            assert.ok(!result.value.some(({ path }: { path: string }) => path.endsWith("/secret")));
        }
        assert.ok(!existsSync(join(root, "copy0/secret")));
      }
    } finally {
      swapper.kill("SIGKILL");
      await once(swapper, "exit");
    }
    assert.deepEqual(readdirSync(outside).sort(), ["secret", "victim"]);
    assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
    assert.ok(lstatSync(join(outside, "victim/kept")).isFile());
  },
);

/** What the calls of the test overwrite or remove is made again in each round. */
const swapping = `
const fs = require("node:fs");
const [root, outside] = process.argv.slice(1);
process.chdir(root);
fs.mkdirSync(outside + "/victim", { recursive: true });
fs.writeFileSync(outside + "/victim/kept", "kept");
const attempt = (name, ...args) => { try { fs[name](...args); } catch {} };
const swap = (name, target, make) => {
  attempt("renameSync", name, name + "-aside");
  attempt("symlinkSync", target, name + "-link");
  attempt("renameSync", name + "-link", name);
  make(name + "-aside");
  attempt("unlinkSync", name);
  attempt("renameSync", name + "-aside", name);
};
for (let round = 0; ; round += 1) {
  swap("dir", outside, (path) => attempt("mkdirSync", path));
  swap("file", outside + "/secret", (path) => fs.existsSync(path) || attempt("writeFileSync", path, "inside"));
  if (round === 1) console.log("ready");
}`;

test("a write that is given up, or is of nothing that can be written, changes nothing", async () => {
  await fs.write("file", "old");
  const large = new Uint8Array(256 * 1024 * 1024);
  await assert.rejects(fs.write("file", large, { timeoutMs: 20 }), OperationTimeoutError);
  const over = new AbortController();
  const writing = fs.write("file", large, { signal: over.signal });
  over.abort(new Error("never mind"));
  await assert.rejects(writing, /never mind/);
  for (const data of [7, "\ud800", null]) {
    await assert.rejects(fs.write("file", data as string), InvalidConfigError);
    await using sink = await fs.writeStream("file");
    await assert.rejects(sink.write(data as string), InvalidConfigError);
    await sink.write("old");
  }
  // What was under way ends by itself, and leaves nothing either.
  while (readdirSync(root).length > 1) await new Promise(setImmediate);
  assert.equal(await fs.readToString("file"), "old");
});

test("a path with a / at its end is a directory's, and nothing is made for what is none", async () => {
  await fs.write("file", "x");
  for (const path of ["new/", "new/.", "deep/new/"]) {
    await assert.rejects(fs.write(path, "x"), IoError);
    await assert.rejects(fs.writeStream(path), IoError);
    await assert.rejects(fs.copy("file", path), IoError);
    await assert.rejects(fs.rename("file", path), IoError);
  }
  assert.deepEqual(readdirSync(root), ["file"]);
  await fs.mkdir("made/");
  await fs.copy("made", "copied/");
  await fs.rename("made/", "renamed/");
  assert.deepEqual(readdirSync(root).toSorted(), ["copied", "file", "renamed"]);
});

test("a sink that is given up leaves what was there, and nothing beside it", async () => {
  await fs.write("file", "old");
  const half = async (): Promise<void> => {
    await using sink = await fs.writeStream("file");
    await sink.write("half");
    await sink.abort();
    await sink.abort();
    await assert.rejects(sink.write("more"), SandboxFsError);
    await assert.rejects(sink.close(), { name: "RuntimeError" });
  };
  await half();
  assert.deepEqual(readdirSync(root), ["file"]);
  assert.equal(await fs.readToString("file"), "old");
  const closed = await fs.writeStream("file");
  await closed.write("new");
  await closed.close();
  await closed.abort();
  assert.equal(await fs.readToString("file"), "new");
});
