import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { IoError } from "../../errors/index.ts";
import { importLayers } from "./import-layers.ts";
import { defaultImportLimits } from "./limits.ts";
import { imported, layerOf, workDirectory } from "../../../test/support/image-support.ts";
import { archive, pax, tarEntry } from "../../../test/support/tar-builder.ts";

const dir = (name: string, mode = 0o755): Buffer => tarEntry({ name, type: "5", mode });
const file = (name: string, data = name): Buffer => tarEntry({ name, data });
const symlink = (name: string, link: string): Buffer => tarEntry({ name, type: "2", link });
const hardLink = (name: string, link: string): Buffer => tarEntry({ name, type: "1", link });

/** Path → content of files, target of links, `/` for directories. */
async function shape(...layers: readonly (readonly Buffer[])[]): Promise<Record<string, string>> {
  const found = await imported(...layers.map((entries) => archive(...entries)));
  const paths = [...found].filter(([path]) => path !== "").sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    paths.map(([path, { mode, content }]) => {
      const type = mode & 0o170000;
      return [path, type === 0o040000 ? "/" : type === 0o120000 ? `-> ${content}` : content];
    }),
  );
}

interface Case {
  readonly name: string;
  readonly layers: readonly (readonly Buffer[])[];
  readonly gives: Readonly<Record<string, string>>;
}

const cases: readonly Case[] = [
  { name: "no layer at all", layers: [], gives: {} },
  { name: "an empty layer", layers: [[]], gives: {} },
  {
    name: "names with .. in them are cleaned before links are followed, and hard links' targets too",
    layers: [
      [
        file("a/../x"),
        file("/../../y"),
        symlink("link", "/elsewhere"),
        file("link/../z"),
        hardLink("a/./../h", "b/../x"),
        dir("d/e/.."),
      ],
      [file("a/../.wh.x", "")],
    ],
    gives: { y: "/../../y", link: "-> /elsewhere", z: "link/../z", h: "a/../x", d: "/" },
  },
  {
    name: "a file with a slash at its end is a file; without a type it is a directory",
    layers: [[file("x/", "data"), tarEntry({ name: "y/", type: "\0" }), file("y/z")]],
    gives: { x: "data", y: "/", "y/z": "y/z" },
  },
  {
    name: "a file of a later layer replaces one",
    layers: [[file("a", "old"), file("b")], [file("a", "new")]],
    gives: { a: "new", b: "b" },
  },
  {
    name: "directories of two layers merge",
    layers: [
      [dir("d"), file("d/a")],
      [dir("d"), file("d/b")],
    ],
    gives: { d: "/", "d/a": "d/a", "d/b": "d/b" },
  },
  {
    name: "a whiteout deletes a file",
    layers: [[file("d/a"), file("d/b")], [file("d/.wh.a", "")]],
    gives: { d: "/", "d/b": "d/b" },
  },
  {
    name: "a whiteout deletes a tree",
    layers: [[file("d/e/f"), file("x")], [file(".wh.d", "")]],
    gives: { x: "x" },
  },
  {
    name: "a whiteout of nothing does nothing",
    layers: [[file("a")], [file(".wh.b", "")]],
    gives: { a: "a" },
  },
  {
    name: "a whiteout in the lowest layer does nothing",
    layers: [[file(".wh.a", ""), file("b")]],
    gives: { b: "b" },
  },
  {
    name: "a whiteout does not hide its own layer's file, whichever comes first",
    layers: [
      [file("a", "old"), file("b", "old")],
      [file("a", "new"), file(".wh.a", ""), file(".wh.b", ""), file("b", "new")],
    ],
    gives: { a: "new", b: "new" },
  },
  {
    name: "a whiteout of a directory that its own layer has makes it new",
    layers: [
      [file("d/old"), file("e/old")],
      [file("d/new"), file(".wh.d", ""), file(".wh.e", ""), file("e/new")],
    ],
    gives: { d: "/", "d/new": "d/new", e: "/", "e/new": "e/new" },
  },
  {
    name: "an opaque directory hides lower layers, wherever it is said",
    layers: [
      [file("d/a"), file("d/s/b"), file("e/a")],
      [file("d/x"), file("d/.wh..wh..opq", ""), file("d/y"), file("e/y")],
    ],
    gives: { d: "/", "d/x": "d/x", "d/y": "d/y", e: "/", "e/a": "e/a", "e/y": "e/y" },
  },
  {
    name: "an opaque directory hides all lower layers, and later ones add to it",
    layers: [[file("d/1")], [file("d/2")], [file("d/.wh..wh..opq", "")], [file("d/4")]],
    gives: { d: "/", "d/4": "d/4" },
  },
  {
    name: "an opaque directory that later layers do not name keeps its own content",
    layers: [[file("d/old")], [file("d/.wh..wh..opq", ""), file("d/new")], [file("x")]],
    gives: { d: "/", "d/new": "d/new", x: "x" },
  },
  {
    name: "an opaque directory hides below directories that it shares",
    layers: [[file("d/e/old")], [file("d/.wh..wh..opq", ""), file("d/e/new")]],
    gives: { d: "/", "d/e": "/", "d/e/new": "d/e/new" },
  },
  { name: "an opaque root", layers: [[file("a")], [file(".wh..wh..opq", ""), file("b")]], gives: { b: "b" } },
  {
    name: "what was deleted comes back without its old content",
    layers: [[file("d/old")], [file(".wh.d", "")], [file("d/new")]],
    gives: { d: "/", "d/new": "d/new" },
  },
  {
    name: "bookkeeping of AUFS is passed over",
    layers: [[file("a"), file(".wh..wh.plnk/1.2", "x"), file(".wh..wh.aufs", "")]],
    gives: { a: "a" },
  },
  {
    name: "a file replaces a directory of a lower layer",
    layers: [[file("d/e/f")], [file("d", "file")]],
    gives: { d: "file" },
  },
  {
    name: "a directory replaces a file of a lower layer",
    layers: [[file("d", "file")], [dir("d"), file("d/a")]],
    gives: { d: "/", "d/a": "d/a" },
  },
  {
    name: "a directory that replaced a file does not show what is below the file",
    layers: [[file("d/deep")], [file("d", "file")], [file("d/a")]],
    gives: { d: "/", "d/a": "d/a" },
  },
  {
    name: "a file replaces a directory of its own layer",
    layers: [[file("d/e"), file("d", "file")]],
    gives: { d: "file" },
  },
  {
    name: "a directory replaces a file of its own layer",
    layers: [[file("d", "file"), dir("d"), file("d/a")]],
    gives: { d: "/", "d/a": "d/a" },
  },
  {
    name: "the last of two entries of one name holds",
    layers: [[file("a", "1"), file("a", "2")]],
    gives: { a: "2" },
  },
  {
    name: "a directory replaced twice is empty",
    layers: [[file("d/a"), file("d", "f"), dir("d"), file("d/b"), file("d", "f"), dir("d")]],
    gives: { d: "/" },
  },
  {
    name: "names from the root",
    layers: [[file("/a"), file("./b"), file(".//c/./d")]],
    gives: { a: "/a", b: "./b", c: "/", "c/d": ".//c/./d" },
  },
  {
    name: "an entry below a symbolic link of its layer goes where it leads",
    layers: [
      [
        dir("usr"),
        symlink("lib", "usr/lib"),
        file("lib/a"),
        symlink("abs", "/usr/../usr/lib"),
        file("abs/b"),
      ],
    ],
    gives: {
      abs: "-> /usr/../usr/lib",
      lib: "-> usr/lib",
      usr: "/",
      "usr/lib": "/",
      "usr/lib/a": "lib/a",
      "usr/lib/b": "abs/b",
    },
  },
  {
    name: "a symbolic link out of the root leads to the root",
    layers: [[symlink("up", "../../../../tmp"), file("up/a")]],
    gives: { tmp: "/", "tmp/a": "up/a", up: "-> ../../../../tmp" },
  },
  {
    name: "a symbolic link of a lower layer gives way to a directory",
    layers: [[file("usr/lib/x"), symlink("lib", "usr/lib")], [file("lib/a")]],
    gives: { lib: "/", "lib/a": "lib/a", usr: "/", "usr/lib": "/", "usr/lib/x": "usr/lib/x" },
  },
  {
    name: "a directory replaces a symbolic link of its layer",
    layers: [[symlink("l", "x"), dir("l"), file("l/a")]],
    gives: { l: "/", "l/a": "l/a" },
  },
  {
    name: "a hard link to a file whose first name a later layer replaces",
    layers: [[file("a", "shared"), hardLink("b", "a")], [file("a", "new")]],
    gives: { a: "new", b: "shared" },
  },
  {
    name: "a hard link to a file whose first name a later layer deletes",
    layers: [
      [file("x", "before"), file("a", "shared"), file("y", "after"), hardLink("b", "a")],
      [file(".wh.a", "")],
    ],
    gives: { b: "shared", x: "before", y: "after" },
  },
  {
    name: "a hard link whose names all are replaced",
    layers: [
      [file("a", "1"), hardLink("b", "a")],
      [file("a"), file("b")],
    ],
    gives: { a: "a", b: "b" },
  },
  {
    name: "a hard link to a lower layer's file",
    layers: [[file("a", "low")], [hardLink("b", "a")]],
    gives: { a: "low", b: "low" },
  },
  {
    name: "a hard link to a lower layer's file that a later layer replaces",
    layers: [[file("d/a", "low")], [hardLink("b", "d/a")], [file("d/a", "new")]],
    gives: { b: "low", d: "/", "d/a": "new" },
  },
  {
    name: "a hard link to a hard link to a lower layer's file",
    layers: [[file("a", "low")], [], [hardLink("b", "a"), hardLink("c", "b")], [hardLink("d", "c")]],
    gives: { a: "low", b: "low", c: "low", d: "low" },
  },
  {
    name: "a hard link to the newest of the lower layers' files",
    layers: [[file("a", "1")], [file("a", "2")], [hardLink("b", "a")]],
    gives: { a: "2", b: "2" },
  },
  {
    name: "a hard link to a symbolic link",
    layers: [[symlink("a", "x"), hardLink("b", "a")]],
    gives: { a: "-> x", b: "-> x" },
  },
  {
    name: "a hard link through a symbolic link",
    layers: [[file("d/a", "1"), symlink("l", "d"), hardLink("b", "l/a")]],
    gives: { b: "1", d: "/", "d/a": "1", l: "-> d" },
  },
  {
    name: "a hard link keeps what it linked when the name is replaced",
    layers: [[file("a", "1"), hardLink("b", "a"), file("a", "2")]],
    gives: { a: "2", b: "1" },
  },
];

for (const { name, layers, gives } of cases) {
  test(`layers: ${name}`, async () => {
    assert.deepEqual(await shape(...layers), gives);
  });
}

test("an owner of -1 leaves a file to root", async () => {
  const found = await imported(archive(pax({ uid: "4294967295", gid: "4294967295" }), file("a")));
  const { uid, gid } = found.get("a") ?? {};
  assert.deepEqual([uid, gid], [0, 0]);
});

test("names of one file count as one inode", async () => {
  const found = await imported(
    archive(file("a"), hardLink("b", "a")),
    archive(hardLink("c", "b"), file("d")),
  );
  assert.equal(found.get("a")?.nid, found.get("c")?.nid);
  assert.equal(found.get("b")?.links, 3);
  assert.equal(found.get("d")?.links, 1);
});

test("a directory that a later layer names only in a path keeps its attributes", async () => {
  const found = await imported(
    archive(tarEntry({ name: "tmp", type: "5", mode: 0o1777, uid: 5, gid: 6, mtime: 77 })),
    archive(file("tmp/a")),
    archive(file("tmp/b"), tarEntry({ name: "./", type: "5", mode: 0o700, mtime: 5 })),
  );
  const { mode, uid, gid, seconds, links } = found.get("tmp") ?? assert.fail();
  assert.deepEqual([mode, uid, gid, seconds, links], [0o041777, 5, 6, 77, 2]);
  assert.equal(found.get("")?.mode, 0o040700);
  assert.equal(found.get("")?.links, 3);
});

test("a directory that a later layer names has that layer's attributes", async () => {
  const found = await imported(
    archive(dir("d", 0o700), file("d/a")),
    archive(dir("d", 0o711)),
    archive(file("d/b")),
  );
  assert.equal(found.get("d")?.mode, 0o040711);
});

test("attributes of all kinds arrive", async () => {
  const found = await imported(
    archive(
      tarEntry({ name: "null", type: "3", mode: 0o666, major: 1, minor: 3 }),
      tarEntry({ name: "disk", type: "4", mode: 0o660, gid: 6, major: 259, minor: 70_000 }),
      tarEntry({ name: "pipe", type: "6", mode: 0o600 }),
      tarEntry({ name: "su", mode: 0o4755 }),
      pax({
        mtime: "-1.5",
        uid: "4294967294",
        gid: "70000",
        "SCHILY.xattr.user.a\xc3\xa9": "v\0\n=\xff",
        "SCHILY.xattr.security.capability": "\x01\0\0\x02",
        "SCHILY.xattr.trusted.overlay.redirect": "/x",
        "SCHILY.xattr.com.apple.quarantine": "x",
      }),
      tarEntry({ name: "x", mode: 0o2640 }),
      pax({ mtime: "1700000000.123456789", "SCHILY.xattr.user.empty": "" }),
      dir("d"),
    ),
  );
  assert.deepEqual([found.get("null")?.mode, found.get("null")?.device], [0o020666, (1 << 8) | 3]);
  // new_encode_dev: 70000 is 0x11170.
  assert.deepEqual(
    [found.get("disk")?.mode, found.get("disk")?.device],
    [0o060660, 0x70 | (259 << 8) | (0x11100 << 12)],
  );
  assert.equal(found.get("pipe")?.mode, 0o010600);
  assert.equal(found.get("su")?.mode, 0o104755);
  const { mode, uid, gid, seconds, nanoseconds, xattrs } = found.get("x") ?? assert.fail();
  assert.deepEqual([mode, uid, gid, seconds, nanoseconds], [0o102640, 4294967294, 70_000, -2, 500_000_000]);
  assert.deepEqual(xattrs, { "security.capability": "\x01\0\0\x02", "user.a\xc3\xa9": "v\0\n=\xff" });
  assert.deepEqual(found.get("d")?.xattrs, { "user.empty": "" });
  assert.deepEqual([found.get("d")?.seconds, found.get("d")?.nanoseconds], [1_700_000_000, 123_456_789]);
});

test("the same layers give the same bytes, however they are compressed and cut", async () => {
  await using work = await workDirectory();
  const low = archive(dir("d"), file("d/a"), hardLink("d/b", "d/a"), file("z"), file("y"));
  const high = archive(file("d/a", "new"), symlink("l", "d"));
  const digests = new Set<string>();
  for (const [index, pack] of [(tar: Buffer) => tar, gzipSync, zstdCompressSync, oneByteFrames].entries()) {
    const output = join(work.path, String(index));
    await importLayers([layerOf(low, pack(low)), layerOf(high, pack(high))], output, defaultImportLimits);
    digests.add(
      createHash("sha256")
        .update(await readFile(output))
        .digest("hex"),
    );
  }
  assert.equal(digests.size, 1);
});

/** Many zstd frames, with skippable ones between them, as zstd:chunked has. */
function oneByteFrames(tar: Buffer): Buffer {
  const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const empty = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  const parts: Buffer[] = [skippable];
  for (let at = 0; at < tar.length; at += 1000) {
    parts.push(zstdCompressSync(tar.subarray(at, at + 1000)), at % 3000 === 0 ? skippable : empty);
  }
  return Buffer.concat(parts);
}

test("an import that is called off leaves nothing, even while the layer stalls", async () => {
  await using work = await workDirectory();
  const controller = new AbortController();
  const stream = new PassThrough();
  stream.write(archive(file("a")).subarray(0, 700));
  const begun = Promise.withResolvers<number>();
  const layer = { ...layerOf(archive()), open: () => stream, onProgress: begun.resolve };
  const running = importLayers([layer], join(work.path, "image"), defaultImportLimits, controller.signal);
  const stopped = assert.rejects(running, { message: "enough" });
  assert.equal(await begun.promise, 700);
  controller.abort(new Error("enough"));
  await stopped;
  assert.deepEqual(await readdir(work.path), []);
  assert.ok(stream.destroyed);
});

test("a layer that cannot be read is told with its name", async () => {
  await using work = await workDirectory();
  const open = (): Readable => createReadStream(join(work.path, "missing"));
  const layer = { ...layerOf(archive()), open, description: "lost" };
  const running = importLayers([layer], join(work.path, "image"), defaultImportLimits);
  await assert.rejects(running, (error) => error instanceof IoError && /layer lost/.test(error.message));
  assert.deepEqual(await readdir(work.path), []);
});

test("a directory that is not there is told", async () => {
  await assert.rejects(importLayers([], "/nowhere/at/all/image", defaultImportLimits), IoError);
});
