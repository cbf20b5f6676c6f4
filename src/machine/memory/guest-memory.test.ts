import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import { RuntimeError } from "../../errors/index.ts";
import { GuestMemory, joined, ownPages } from "./guest-memory.ts";

const present = 1n << 63n;
const swapped = 1n << 62n;
const ofFile = 1n << 61n;

function pagemap(...entries: bigint[]): Buffer {
  const bytes = Buffer.alloc(entries.length * 8);
  for (const [index, entry] of entries.entries()) {
    if (endianness() === "LE") bytes.writeBigUInt64LE(entry, index * 8);
    else bytes.writeBigUInt64BE(entry, index * 8);
  }
  return bytes;
}

test("pages that a machine has written are its own, in memory or swapped out", () => {
  const pages = pagemap(
    0n,
    present,
    present | 0x1234n,
    present | ofFile,
    swapped | 0x7fn,
    swapped | ofFile,
    0n,
    present | ofFile,
    present,
  );
  assert.deepEqual(
    [...ownPages(pages, 4096)],
    [
      { offset: 4096, length: 8192 },
      { offset: 4 * 4096, length: 8192 },
      { offset: 8 * 4096, length: 4096 },
    ],
  );
  assert.deepEqual([...ownPages(pagemap(0n, present | ofFile), 4096)], []);
  assert.deepEqual([...ownPages(pagemap(present, present), 16_384)], [{ offset: 0, length: 32_768 }]);
});

test("runs that lie close together are copied as one, and only what is the machine's own is counted", () => {
  const runs = [
    { offset: 0, length: 4096 },
    { offset: 8192, length: 4096 },
    { offset: 20_480, length: 4096 },
  ];
  assert.deepEqual(
    [...joined(runs, 4096)],
    [
      { offset: 0, length: 12_288, own: 8192 },
      { offset: 20_480, length: 4096, own: 4096 },
    ],
  );
  assert.deepEqual([...joined(runs, 8192)], [{ offset: 0, length: 24_576, own: 12_288 }]);
  assert.deepEqual([...joined([], 4096)], []);
});

test("a process that is no machine has no memory of a guest", async () => {
  if (process.platform === "linux")
    await assert.rejects(GuestMemory.find(process.pid, 512 * 1024 * 1024), RuntimeError);
});
