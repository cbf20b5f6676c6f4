import assert from "node:assert/strict";
import { test } from "node:test";
import { withCode } from "../../../test/support/provider-call.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { MemoryFile } from "./memory-file.ts";
import { memory } from "./memory.ts";

const text = async (files: ReturnType<typeof memory>, path: string): Promise<string> =>
  Buffer.from(await files.read(path, 0, 1_000)).toString();
const used = async (files: ReturnType<typeof memory>): Promise<number> => {
  const { totalBytes, freeBytes } = await files.statFs();
  return totalBytes - freeBytes;
};

test("files begin with what was given, and directories on the way are made", async () => {
  const files = memory({ files: { "/a/b/c.txt": "one", d: Buffer.from("two") } });
  assert.equal(await text(files, "/a/b/c.txt"), "one");
  assert.equal(await text(files, "/d"), "two");
  assert.deepEqual(
    (await files.list("/")).map(({ name, stat }) => [name, stat?.kind]),
    [
      ["a", "directory"],
      ["d", "file"],
    ],
  );
  for (const path of ["", "/", "/a/../b", "."])
    assert.throws(() => memory({ files: { [path]: "x" } }), InvalidConfigError);
  assert.throws(() => memory({ files: { "/a": "x", "/a/b": "y" } }), InvalidConfigError);
  for (const maxBytes of [0, -1, NaN, 1.5, Infinity])
    assert.throws(() => memory({ maxBytes }), InvalidConfigError);
});

test("a file with holes takes what was written, and what was cut off is zeros when it grows again", async () => {
  const files = memory();
  await files.create("/holes");
  const before = await used(files);
  await files.write("/holes", 10_000_000, Buffer.from("end"));
  assert.equal(await used(files), before + 4096);
  const { size, usedBytes } = await files.stat("/holes");
  assert.deepEqual([size, usedBytes], [10_000_003, 4096]);
  assert.deepEqual(Buffer.from(await files.read("/holes", 9_999_998, 100)), Buffer.from("\0\0end"));
  assert.equal((await files.read("/holes", 20_000_000, 10)).length, 0);
  await files.truncate("/holes", 10_000_001);
  await files.truncate("/holes", 10_000_004);
  assert.deepEqual(Buffer.from(await files.read("/holes", 10_000_000, 10)), Buffer.from("e\0\0\0"));
  await files.truncate("/holes", 0);
  assert.equal(await used(files), before);
});

test("reads and writes of all offsets are those of a plain buffer", () => {
  const file = new MemoryFile();
  const plain = Buffer.alloc(20_000);
  let size = 0;
  for (let round = 0; round < 300; round++) {
    const [offset, length] = [(round * 7_919) % 15_000, (round * 104_729) % 5_000];
    if (round % 10 === 9) {
      file.truncate(offset);
      plain.fill(0, offset);
      size = offset;
    } else {
      const bytes = Buffer.alloc(length, round);
      file.write(offset, bytes);
      bytes.copy(plain, offset);
      if (length > 0) size = Math.max(size, offset + length);
    }
    assert.equal(file.size, size);
    assert.deepEqual(Buffer.from(file.read(0, 20_000)), plain.subarray(0, size));
  }
});

test("there is a limit, and what is removed or replaced gives its room back", async () => {
  const files = memory({ maxBytes: 5 * 4096 });
  await files.create("/a");
  await files.write("/a", 0, Buffer.alloc(3 * 4096));
  await assert.rejects(files.write("/a", 3 * 4096, Buffer.alloc(8192)), withCode("ENOSPC"));
  assert.equal((await files.stat("/a")).size, 3 * 4096, "nothing of it was written");
  await files.write("/a", 0, Buffer.alloc(3 * 4096, 1));
  await files.create("/b");
  await assert.rejects(files.create("/c"), withCode("ENOSPC"));
  await files.rename("/b", "/a");
  assert.equal(await used(files), 4096);
  await files.remove("/a");
  assert.deepEqual(await files.statFs(), {
    ...{ totalBytes: 5 * 4096, freeBytes: 5 * 4096 },
    ...{ totalFiles: 6, freeFiles: 5 },
  });
});

test("what cannot be is an error as of the system", async () => {
  const files = memory({ files: { "/d/file": "x", "/e/other": "y" } });
  await files.symlink("../anywhere", "/link");
  assert.equal(await files.readLink("/link"), "../anywhere");
  const wrong: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["ENOENT", () => files.stat("/none")],
    ["ENOTDIR", () => files.stat("/d/file/x")],
    ["ENOTDIR", () => files.list("/d/file")],
    ["EISDIR", () => files.read("/d", 0, 1)],
    ["EISDIR", () => files.remove("/d")],
    ["ENOTDIR", () => files.removeDirectory("/d/file")],
    ["ENOTEMPTY", () => files.removeDirectory("/d")],
    ["EEXIST", () => files.create("/d/file")],
    ["EEXIST", () => files.mkdir("/d")],
    ["ENOENT", () => files.create("/none/x")],
    ["ENOTEMPTY", () => files.rename("/d", "/e")],
    ["ENOTDIR", () => files.rename("/d", "/e/other")],
    ["EISDIR", () => files.rename("/d/file", "/e")],
    ["EINVAL", () => files.rename("/d", "/d/inner")],
    ["EINVAL", () => files.readLink("/d")],
    ["EBUSY", () => files.removeDirectory("/")],
  ];
  for (const [code, call] of wrong) await assert.rejects(call(), withCode(code));
  await files.rename("/d/file", "/d/file");
  assert.equal(await text(files, "/d/file"), "x");
});
