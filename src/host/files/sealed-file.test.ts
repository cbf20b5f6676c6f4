import assert from "node:assert/strict";
import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { crc32Zeros } from "./crc32.ts";
import { firstBlockBytes, hasSealedLength, isIntact, seal } from "./sealed-file.ts";

test("zeros count for a checksum as if they were there", () => {
  const start = crc32("begin");
  for (const count of [0, 1, 7, 8, 255, 4096, 65_537, 1_000_003]) {
    assert.equal(crc32Zeros(count, start), crc32(Buffer.alloc(count), start), String(count));
  }
});

test("a sealed file is whole until a byte of it changes or is missing", async () => {
  const directory = await mkdtemp(join(tmpdir(), "msb-seal-"));
  try {
    const path = join(directory, "file");
    const rest = Buffer.alloc(3_000_000, "content");
    const first = Buffer.alloc(firstBlockBytes);
    first.write("content of the first block", 2000);
    seal(first, first.length + rest.length, crc32(rest));
    const good = Buffer.concat([first, rest]);
    const state = async (): Promise<[boolean, boolean]> => [
      await hasSealedLength(path),
      await isIntact(path, undefined),
    ];
    assert.deepEqual(await state(), [false, false]);
    await writeFile(path, good);
    assert.deepEqual(await state(), [true, true]);
    // A flipped bit: in the seal, in the first block's content, at the beginning, in the middle and at the end of the rest.
    for (const [at, quick] of [
      [3, false],
      [9, false],
      [17, false],
      [2003, false],
      [4096, true],
      [1_000_000, true],
      [good.length - 1, true],
    ] as const) {
      await writeFile(path, good);
      await using file = await open(path, "r+");
      await file.write(Buffer.from([(good[at] ?? 0) ^ 0x10]), 0, 1, at);
      assert.deepEqual(await state(), [quick, false], String(at));
    }
    for (const length of [0, 20, 4096, good.length - 1]) {
      await writeFile(path, good);
      await truncate(path, length);
      assert.deepEqual(await state(), [false, false], String(length));
    }
    await writeFile(path, Buffer.concat([good, Buffer.from("x")]));
    assert.deepEqual(await state(), [false, false]);
    await writeFile(path, good);
    await assert.rejects(isIntact(path, AbortSignal.abort(new Error("enough"))), /enough/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
