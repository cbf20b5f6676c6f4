/** Archives that GNU tar has made, and archives that it unpacks. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { link, mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { IoError } from "../../../errors/index.ts";
import { readTree } from "../../../host/tree/read-tree.ts";
import { shownPath } from "../../../host/tree/tree.ts";
import { tarEnd, tarHeader, type TarFields } from "../../../image/tar/writer.ts";
import { directory, file, link as treeLink, treeListing } from "../../../../test/support/tree-support.ts";
import { ArchiveReader, type ArchiveEvent } from "./archive-reader.ts";
import { ArchiveWriter } from "./archive-writer.ts";

const run = promisify(execFile);
const deep = `${"d".repeat(120)}/${"e".repeat(120)}`;
let base = "";
let source = "";

before(async () => {
  base = await mkdtemp(join(tmpdir(), "archive-"));
  source = join(base, "source");
  await mkdir(join(source, deep), { recursive: true });
  await writeFile(join(source, deep, "n".repeat(255)), "deep");
  await writeFile(join(source, "script"), "#!/bin/sh\n", { mode: 0o755 });
  await writeFile(join(source, "large"), randomBytes(1_000_001));
  await writeFile(join(source, "nothing"), "");
  await writeFile(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0xfe, 0x0a])]), "bytes");
  await symlink("t".repeat(200), join(source, "link"));
  await using sparse = await open(join(source, "sparse"), "wx");
  await sparse.truncate(5 * 1024 * 1024);
  await sparse.write(randomBytes(10_000), 0, 10_000, 1024 * 1024);
  await run("find", [source, "-exec", "touch", "-h", "-d", "2021-02-03 04:05:06.123456789", "{}", "+"]);
});

after(() => rm(base, { recursive: true, force: true }));

interface Unpacked {
  /** Of each entry, in order: `kind path mode size`, and what is in files, by path. */
  readonly lines: readonly string[];
  readonly contents: ReadonlyMap<string, Buffer>;
  /** Bytes of holes, by path. */
  readonly holes: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

async function unpacked(archive: Buffer, chunkBytes = 65536): Promise<Unpacked> {
  const chunks: Buffer[] = [];
  for (let at = 0; at < archive.length; at += chunkBytes) chunks.push(archive.subarray(at, at + chunkBytes));
  const reader = new ArchiveReader();
  const lines: string[] = [];
  const parts = new Map<string, Buffer[]>();
  const holes = new Map<string, number>();
  let last = "";
  const take = (event: ArchiveEvent): void => {
    if (event.type === "entry") {
      const { path, kind, mode, size } = event.entry;
      last = Buffer.from(path).toString("latin1");
      lines.push(`${kind} ${last} ${mode.toString(8)} ${size}`);
      if (kind === "file") parts.set(last, []);
    } else if (event.type === "link") {
      lines.push(`link ${shownPath(event.path)} ${shownPath(event.target)}`);
    } else if (event.type === "data") {
      parts.get(last)?.push(Buffer.from(event.bytes));
    } else {
      parts.get(last)?.push(Buffer.alloc(event.length));
      holes.set(last, (holes.get(last) ?? 0) + event.length);
    }
  };
  for await (const events of reader.read(Readable.from(chunks))) events.forEach(take);
  const contents = new Map([...parts].map(([path, pieces]) => [path, Buffer.concat(pieces)] as const));
  const problems = reader.problems.list.map(({ path, message }) => `${shownPath(path)}: ${message}`);
  return { lines, contents, holes, problems };
}

async function archiveOf(path: string, root: string): Promise<{ archive: Buffer; problems: string[] }> {
  const parts: Uint8Array[] = [];
  const writer = new ArchiveWriter(async (bytes) => void parts.push(bytes), root);
  for await (const events of readTree(path)) await writer.write(events);
  await writer.finish();
  const problems = writer.problems.list.map((problem) => `${shownPath(problem.path)}: ${problem.message}`);
  return { archive: Buffer.concat(parts), problems };
}

function entry(name: string, type: TarFields["type"], more: Partial<TarFields> = {}, content = ""): Buffer {
  const size = content.length;
  const fields = { name: Buffer.from(name), type, mode: 0o644, uid: 0, gid: 0, size, mtimeNs: 0n, ...more };
  const blocks = Math.ceil(size / 512) * 512;
  return Buffer.concat([tarHeader(fields), Buffer.from(content.padEnd(blocks, "\0"))]);
}

for (const root of ["source", "."]) {
  test(`what is written of a tree is unpacked by GNU tar as it was, with the root ${root}`, async () => {
    const { archive, problems } = await archiveOf(source, root);
    const place = await mkdtemp(join(base, "unpacked-"));
    const to = root === "." ? join(place, "in") : place;
    await mkdir(to, { recursive: true });
    execFileSync("tar", ["x", "-C", to], { input: archive, maxBuffer: 1 << 26 });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      await treeListing(join(place, root === "." ? "in" : "source")),
      await treeListing(source),
    );
  });
}

test("a file alone, and a device, which is told of and left out", async () => {
  const { archive } = await archiveOf(join(source, "script"), "script");
  assert.equal(execFileSync("tar", ["tv"], { input: archive }).toString().split(" ")[0], "-rwxr-xr-x");
  const { archive: empty, problems } = await archiveOf("/dev/null", "null");
  assert.equal(execFileSync("tar", ["t"], { input: empty }).length, 0);
  assert.deepEqual(problems, [": it is a device, a pipe or a socket"]);
});

test("a guest that lies puts nothing into an archive that would lead out of where it is unpacked", async () => {
  const parts: Uint8Array[] = [];
  const writer = new ArchiveWriter(async (bytes) => void parts.push(bytes), "out");
  await writer.write([
    ...directory(""),
    ...file("../above", "x"),
    ...file("/absolute", "x"),
    ...file("a/../../b", "x"),
    ...treeLink("link", "/etc"),
    ...file("link/through", "x"),
    ...directory("dir"),
    ...file("dir/kept", "kept"),
    ...file("missing/file", "x"),
    ...directory(""),
    ...file("kept", "kept"),
  ]);
  await writer.finish();
  const listed = execFileSync("tar", ["t"], { input: Buffer.concat(parts) }).toString();
  assert.deepEqual(listed.trim().split("\n"), ["out/", "out/link", "out/dir/", "out/dir/kept", "out/kept"]);
  assert.equal(writer.problems.count, 6);
});

test("sizes, owners and times beyond octal digits", async () => {
  const fields: TarFields = {
    name: Buffer.from("big"),
    type: "file",
    mode: 0o4755,
    uid: 4_000_000_000,
    gid: 3_000_000,
    size: 9 * 2 ** 30,
    mtimeNs: -86_400_000_000_000n,
  };
  const shown = execFileSync("sh", ["-c", "tar tv --numeric-owner --utc 2>/dev/null || true"], {
    input: tarHeader(fields),
  });
  assert.equal(shown.toString().trim(), "-rwsr-xr-x 4000000000/3000000 9663676416 1969-12-31 00:00 big");
});

test("a time is read back to the nanosecond", async () => {
  for (const mtimeNs of [
    0n,
    1n,
    -1n,
    1_500_000_000n,
    -1_500_000_000n,
    -2_000_000_000n,
    10n ** 18n + 7n,
    2n ** 62n,
  ]) {
    const found: bigint[] = [];
    const archive = Buffer.concat([entry("f", "file", { mtimeNs }, "x"), tarEnd]);
    for await (const events of new ArchiveReader().read(Readable.from([archive]))) {
      for (const event of events)
        if (event.type === "entry" && event.entry.path.length > 0) found.push(event.entry.mtimeNs);
    }
    assert.deepEqual(found, [mtimeNs]);
    const shown = execFileSync("tar", ["tv", "--full-time", "--utc"], { input: archive }).toString();
    // GNU tar 1.34 reads fractions before 1970 wrongly, its own too.
    if (mtimeNs < 0n && mtimeNs % 10n ** 9n !== 0n) continue;
    const second = Number(mtimeNs / 10n ** 9n);
    const expected = new Date(second * 1000).toISOString().slice(0, 19).replace("T", " ");
    assert.ok(shown.includes(expected), `${mtimeNs}: ${shown}`);
  }
});

for (const options of [
  ["--format=gnu"],
  ["--format=posix"],
  ["--format=gnu", "-S"],
  ["--format=posix", "-S"],
]) {
  for (const compress of [(bytes: Buffer) => bytes, gzipSync, zstdCompressSync]) {
    test(`GNU tar's ${options.join(" ")} ${compress.name}`, async () => {
      const tar = join(base, "made.tar");
      await run("tar", [...options, "-C", source, "-cf", tar, "."]);
      const { contents, holes, problems, lines } = await unpacked(compress(await readFile(tar)), 10_007);
      assert.deepEqual(problems, []);
      assert.equal(lines[0], "directory  755 0");
      assert.equal(contents.get(`${deep}/${"n".repeat(255)}`)?.toString(), "deep");
      assert.equal(contents.get("\xff\xfe\n")?.toString(), "bytes");
      assert.deepEqual(contents.get("large"), await readFile(join(source, "large")));
      assert.deepEqual(contents.get("sparse"), await readFile(join(source, "sparse")));
      assert.equal((holes.get("sparse") ?? 0) > 4_000_000, options.includes("-S"));
      assert.ok(lines.includes("file script 755 10"));
    });
  }
}

test("hard links are told of by the name of the file that came before", async () => {
  const place = await mkdtemp(join(base, "hard-"));
  await writeFile(join(place, "a"), "one");
  await link(join(place, "a"), join(place, "b"));
  await run("tar", ["-C", place, "-cf", join(base, "hard.tar"), "./a", "./b"]);
  assert.equal((await stat(join(place, "a"))).nlink, 2);
  const { lines } = await unpacked(await readFile(join(base, "hard.tar")));
  assert.deepEqual(lines.slice(1), ["file a 644 3", "link b a"]);
});

test("directories that are left out are put in, those on the way once", async () => {
  const archive = Buffer.concat([
    entry("a/b/one", "file"),
    entry("a/b/two", "file"),
    entry("a/c", "directory", { mode: 0o700 }),
    entry("a/c/three", "file"),
    entry("four", "file"),
    tarEnd,
  ]);
  assert.deepEqual((await unpacked(archive)).lines, [
    "directory  755 0",
    "directory a 755 0",
    "directory a/b 755 0",
    "file a/b/one 644 0",
    "file a/b/two 644 0",
    "directory a/c 700 0",
    "file a/c/three 644 0",
    "file four 644 0",
  ]);
});

test("no name leads out of the place, and what is refused is named", async () => {
  const archive = Buffer.concat([
    entry("../above", "file", {}, "x"),
    entry("/etc/absolute", "file", {}, "kept"),
    entry("in/../../out", "file", {}, "x"),
    entry("in/../beside", "file", {}, "kept"),
    entry("./", "directory", { mode: 0 }),
    entry("/", "directory", { mode: 0 }),
    entry(".", "file", {}, "x"),
    entry(`${"d/".repeat(600)}f`, "file"),
    entry("n".repeat(256), "file"),
    entry("empty-target", "symlink", { linkName: Buffer.alloc(0) }),
    entry("long-target", "symlink", { linkName: Buffer.alloc(5000, "t") }),
    entry("to", "symlink", { linkName: Buffer.from("/etc/passwd") }),
    tarEnd,
  ]);
  const { lines, contents, problems } = await unpacked(archive, 700);
  assert.deepEqual(lines, [
    "directory  755 0",
    "directory etc 755 0",
    "file etc/absolute 644 4",
    "file beside 644 4",
    "symlink to 644 0",
  ]);
  assert.deepEqual([...contents.values()].map(String), ["kept", "kept"]);
  assert.equal(problems.length, 7);
  for (const [index, name] of ["../above", "in/../../out", ".", "d/", "nnn", "empty", "long"].entries()) {
    assert.ok(problems[index]?.startsWith(name), problems[index]);
  }
});

test("what is no archive, is cut off or damaged is an error", async () => {
  const { archive } = await archiveOf(source, ".");
  const broken = [
    Buffer.from("this is no archive".repeat(100)),
    archive.subarray(0, 100_000),
    gzipSync(archive).subarray(0, 100_000),
    zstdCompressSync(archive).subarray(0, 100_000),
    Buffer.concat([gzipSync(archive).subarray(0, 50_000), randomBytes(1000)]),
  ];
  for (const bytes of broken) {
    await assert.rejects(unpacked(bytes), (error) => error instanceof IoError && error.hint !== "");
  }
});
