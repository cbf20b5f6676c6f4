import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { readErofs } from "../../../test/support/erofs-reader.ts";
import { crc32c, encodeDevice } from "./format.ts";
import { ErofsImage } from "./image.ts";
import { impliedDirectory, type Attributes } from "./inodes.ts";
import { flag, root, type Tree } from "./tree.ts";

const limits = {
  maxEntries: 200_000,
  maxMetadataBytes: 1 << 26,
  maxFileBytes: 2 ** 43,
  maxImageBytes: 2 ** 40,
};
const fileAttributes: Attributes = { ...impliedDirectory, mode: 0o100644 };

/** Builds an image, has it checked by fsck.erofs where there is one, and reads it back. */
async function built(
  build: (image: ErofsImage, tree: Tree) => void | Promise<void>,
  check = true,
): ReturnType<typeof readErofs> {
  const directory = await mkdtemp(join(tmpdir(), "msb-erofs-"));
  try {
    const output = join(directory, "image");
    const image = await ErofsImage.create(output, limits);
    const tree = image.newTree();
    await build(image, tree);
    await image.finish(tree, new Uint8Array(16));
    assert.deepEqual(await readdir(directory), ["image"]);
    if (check) await fsck(output);
    return await readErofs(output);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function fsck(image: string): Promise<void> {
  try {
    await promisify(execFile)("fsck.erofs", ["--extract", image], { timeout: 300_000 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

function addFile(image: ErofsImage, content: string): number {
  const inode = image.inodes.add(fileAttributes);
  image.data.begin(inode, content.length, null);
  image.data.append(Buffer.from(content, "latin1"));
  image.data.end();
  return inode;
}

test("crc32c without the inversion at its end", () => {
  // RFC 3720, B.4: 32 bytes of zeros have the CRC 8a9136aa.
  assert.equal(~crc32c(Buffer.alloc(32)) >>> 0, 0x8a91_36aa);
  assert.equal(~crc32c(Buffer.from("123456789")) >>> 0, 0xe306_9283);
});

test("device numbers as new_encode_dev", () => {
  assert.equal(encodeDevice(8, 1), 0x801);
  assert.equal(encodeDevice(0xfff, 0xfffff), 0xffff_ffff);
});

test("an empty image is its root", async () => {
  const found = await built(() => undefined);
  assert.deepEqual([...found.keys()], [""]);
  assert.equal(found.get("")?.links, 2);
});

test("files of every size around a block", async () => {
  const sizes = [0, 1, 4095, 4096, 4097, 8192, 65_535, 1 << 20, (1 << 20) + 1, 3_000_001];
  const found = await built(async (image, tree) => {
    for (const size of sizes) {
      tree.add(root, `f${size}`, addFile(image, "0123456789abcde".repeat(size / 15 + 1).slice(0, size)), 0);
      await image.drained();
    }
  });
  for (const size of sizes) {
    const content = found.get(`f${size}`)?.content;
    assert.equal(content, "0123456789abcde".repeat(size / 15 + 1).slice(0, size));
  }
});

test("names in byte order, on both sides of . and ..", async () => {
  const names = [
    "!",
    "-",
    ".-",
    ".",
    "..",
    "...",
    "..a",
    ".a",
    "/",
    "0",
    "a",
    "aa",
    "a.",
    "A",
    "~",
    "\x7f",
    "\xff",
    "é",
  ];
  const wanted = names.filter((name) => ![".", "..", "/"].includes(name));
  const found = await built((image, tree) => {
    for (const name of wanted) tree.add(root, name, addFile(image, name), 0);
  });
  assert.deepEqual([...found.keys()].filter((name) => name !== "").sort(), wanted.sort());
  for (const name of wanted) assert.equal(found.get(name)?.content, name);
});

test("100,000 names of 255 bytes in one directory", async () => {
  const name = (index: number): string => `${index}`.padStart(255, "n");
  const found = await built((image, tree) => {
    const directory = tree.add(root, "d", image.inodes.add(impliedDirectory), 0);
    const inode = addFile(image, "one");
    for (let index = 0; index < 100_000; index++) tree.add(directory, name(index), inode, 0);
  });
  assert.equal(found.size, 100_002);
  assert.equal(found.get(`d/${name(0)}`)?.links, 100_000);
  assert.equal(found.get(`d/${name(99_999)}`)?.content, "one");
});

test("attributes and inline content of every size stay within their blocks", async () => {
  const found = await built((image, tree) => {
    for (let index = 0; index < 400; index++) {
      const xattrs = new Map([[`user.x${index}`, "v".repeat((index * 97) % 5000)]]);
      const attributes = { ...fileAttributes, mode: 0o120777, xattrs };
      tree.add(
        root,
        `l${index}`,
        image.inodes.addSymlink(attributes, "t".repeat(1 + ((index * 131) % 4095))),
        0,
      );
    }
  });
  for (let index = 0; index < 400; index++) {
    const { xattrs, content, size } = found.get(`l${index}`) ?? assert.fail();
    assert.deepEqual(xattrs, { [`user.x${index}`]: "v".repeat((index * 97) % 5000) });
    assert.equal(content, "t".repeat(1 + ((index * 131) % 4095)));
    assert.equal(size, content.length);
  }
});

test("directories of 1000 levels", async () => {
  // fsck.erofs 1.5 uses up its stack here.
  const found = await built((image, tree) => {
    let directory = root;
    for (let level = 0; level < 1000; level++) {
      directory = tree.add(directory, "d", image.inodes.add(impliedDirectory), 0);
    }
  }, false);
  assert.equal(found.size, 1001);
});

test("a file with holes keeps them", async () => {
  const found = await built((image, tree) => {
    const inode = image.inodes.add(fileAttributes);
    image.data.begin(inode, 3_000_000, { offsets: [5, 4090, 2_000_000], lengths: [3, 10, 2] });
    for (const byte of "abc0123456789YZ") image.data.append(Buffer.from(byte));
    image.data.end();
    tree.add(root, "holes", inode, 0);
    const empty = image.inodes.add(fileAttributes);
    image.data.begin(empty, 100_000, { offsets: [], lengths: [] });
    image.data.end();
    tree.add(root, "nothing", empty, 0);
    tree.add(root, "after", addFile(image, "after"), 0);
  });
  const content = found.get("holes")?.content ?? "";
  assert.equal(content.length, 3_000_000);
  assert.equal(content.slice(0, 10), "\0\0\0\0\0abc\0\0");
  assert.equal(content.slice(4090, 4100), "0123456789");
  assert.equal(content.slice(1_999_999, 2_000_003), "\0YZ\0");
  assert.equal(content.replaceAll("\0", ""), "abc0123456789YZ");
  assert.equal(found.get("nothing")?.content, "\0".repeat(100_000));
  assert.equal(found.get("after")?.content, "after");
});

test("whiteouts are no files", async () => {
  const found = await built((image, tree) => {
    tree.add(root, "gone", 0, flag.whiteout);
    tree.add(root, "here", addFile(image, "x"), 0);
  });
  assert.deepEqual([...found.keys()].sort(), ["", "here"]);
});

test("an image that is given up leaves nothing", async () => {
  const directory = await mkdtemp(join(tmpdir(), "msb-erofs-"));
  try {
    const image = await ErofsImage.create(join(directory, "image"), limits);
    addFile(image, "x".repeat(5_000_000));
    assert.equal((await readdir(directory)).length, 1);
    await image.abandon();
    assert.deepEqual(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
