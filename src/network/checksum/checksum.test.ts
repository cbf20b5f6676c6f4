import assert from "node:assert/strict";
import { test } from "node:test";
import { addSums, allocateSummable, checksumOf, sumAt, sumOf } from "./checksum.ts";
import { loadKernel } from "./kernel.ts";
import { plainSum } from "./plain-sum.ts";

/** By the book, without any of the tricks: RFC 1071, 1. */
function slowSum(bytes: Uint8Array): number {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 2)
    sum += (BigInt(bytes[at] ?? 0) << 8n) + BigInt(bytes[at + 1] ?? 0);
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(sum);
}

function random(length: number): Buffer {
  let state = 12345 + length;
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return state >> 16;
    }),
  );
}

test("both ways to sum agree at every length and alignment", () => {
  const kernel = loadKernel();
  assert.ok(kernel !== null, "this Node has WebAssembly with SIMD");
  const memory = new Uint8Array(kernel.memory);
  memory.set(random(1024));
  for (let start = 0; start < 20; start++)
    for (let length = 0; length <= 300; length++) {
      const expected = slowSum(memory.subarray(start, start + length));
      assert.equal(plainSum(memory, start, start + length), expected, `plain, ${length} at ${start}`);
      assert.equal(kernel.sum(start, start + length), expected, `kernel, ${length} at ${start}`);
      assert.equal(sumOf(memory, start, start + length), expected, `chosen, ${length} at ${start}`);
    }
});

test("carries: nothing but ones, to the most that the kernel takes", () => {
  const kernel = loadKernel();
  assert.ok(kernel !== null);
  const memory = new Uint8Array(kernel.memory).fill(0xff);
  for (const length of [2, 3, 64, 65, 65_535, 65_536, 1 << 20]) {
    const expected = slowSum(memory.subarray(0, length));
    assert.equal(kernel.sum(0, length), expected, `${length}`);
    assert.equal(plainSum(memory, 0, length), expected, `${length}`);
  }
  memory.fill(0);
  assert.equal(kernel.sum(0, 1 << 20), 0);
  memory[1 << 19] = 1;
  assert.equal(kernel.sum(0, 1 << 20), 0x0100);
});

test("what lies elsewhere is summed as well, however long", () => {
  const bytes = random(300_001);
  assert.equal(sumOf(bytes, 0, bytes.length), slowSum(bytes));
  assert.equal(sumOf(bytes, 7, 299_998), slowSum(bytes.subarray(7, 299_998)));
});

test("sums of parts add up", () => {
  const bytes = random(1000);
  for (const at of [0, 2, 500, 998])
    assert.equal(addSums(sumOf(bytes, 0, at), sumOf(bytes, at, 1000)), slowSum(bytes));
  for (const at of [1, 3, 501, 999])
    assert.equal(addSums(sumOf(bytes, 0, at), sumAt(at, sumOf(bytes, at, 1000))), slowSum(bytes));
  assert.equal(addSums(0xffff, 0xffff), 0xffff);
  assert.equal(checksumOf(0xffff), 0);
});

test("the example of RFC 1071, 3", () => {
  assert.equal(sumOf(Buffer.from("0001f203f4f5f6f7", "hex"), 0, 8), 0xddf2);
});

test("summable memory: apart, all of it used again, and more than there is", () => {
  const held = Array.from({ length: 8 }, () => allocateSummable(300_000));
  const shared = held.filter(({ bytes }) => bytes.buffer === held[0]?.bytes.buffer);
  assert.ok(shared.length >= 5 && shared.length < 8);
  for (const [index, { bytes }] of held.entries()) bytes.fill(index);
  for (const [index, { bytes }] of held.entries()) {
    assert.ok(bytes.every((byte) => byte === index));
    assert.equal(sumOf(bytes, 0, bytes.length), slowSum(bytes));
  }
  const second = held[1];
  assert.ok(second !== undefined);
  const where = second.bytes.byteOffset;
  second.release();
  second.release();
  const again = allocateSummable(299_999);
  assert.equal(again.bytes.byteOffset, where);
  assert.notEqual(allocateSummable(300_000).bytes.buffer, again.bytes.buffer);
  for (const { release } of [...held, again]) release();
});
