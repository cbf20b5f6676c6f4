import assert from "node:assert/strict";
import { access, mkdtemp, open, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { prepareUpper } from "./upper.ts";

// Needs the guest's files (`npm run build`).

const mib = 1024 * 1024;
let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "upper-"));
});
after(() => rm(directory, { recursive: true, force: true }));

async function ext4Blocks(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    const superblock = Buffer.alloc(1024);
    await file.read(superblock, 0, superblock.length, 1024);
    assert.equal(superblock.readUInt16LE(0x38), 0xef53);
    return superblock.readUInt32LE(4);
  } finally {
    await file.close();
  }
}

test("a disk has the size that is wanted, from the largest blank that fits into it", async () => {
  for (const [sizeMib, blankMib] of [
    [16, 16],
    [100, 16],
    [4095, 16],
    [4096, 4096],
    [8192, 4096],
  ] as const) {
    const path = join(directory, `${sizeMib}.img`);
    await prepareUpper(path, sizeMib);
    const { size, blocks } = await stat(path);
    assert.equal(size, sizeMib * mib);
    assert.ok(blocks * 512 < 2 * mib, String(blocks));
    assert.equal(await ext4Blocks(path), (blankMib * mib) / 4096);
  }
});

test("a disk that is there is kept, and only ever becomes larger", async () => {
  const path = join(directory, "kept.img");
  await prepareUpper(path, 64);
  const file = await open(path, "r+");
  await file.write("kept", 32 * mib);
  await file.close();
  await prepareUpper(path, 128);
  assert.equal((await stat(path)).size, 128 * mib);
  await prepareUpper(path, 64);
  assert.equal((await stat(path)).size, 128 * mib);
  const again = await open(path, "r");
  const { buffer } = await again.read(Buffer.alloc(4), 0, 4, 32 * mib);
  await again.close();
  assert.equal(buffer.toString(), "kept");
});

test("what a killed start left aside is not taken for the disk", async () => {
  const path = join(directory, "whole.img");
  await (await open(`${path}.new`, "w")).close();
  await truncate(`${path}.new`, 5 * mib);
  await prepareUpper(path, 16);
  assert.equal((await stat(path)).size, 16 * mib);
  await assert.rejects(access(`${path}.new`));
});

test("a disk too small for a file system is refused", async () => {
  const path = join(directory, "small.img");
  await assert.rejects(prepareUpper(path, 15), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.hint, /16 MiB/);
    return true;
  });
  await assert.rejects(access(path));
});
