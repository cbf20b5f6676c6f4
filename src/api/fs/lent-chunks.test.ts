import assert from "node:assert/strict";
import { test } from "node:test";
import { LentChunks } from "./lent-chunks.ts";

test("memory is used again, and not before eight other chunks were given", () => {
  const chunks = new LentChunks();
  const source = Buffer.alloc(65536);
  const given: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  for (let round = 0; round < 100; round++) {
    const chunk = chunks.copy(source.fill(round).subarray(0, 40_000 + round));
    memory.add(chunk.buffer);
    chunks.given(chunk);
    given.push(chunk);
    for (const [back, old] of given.slice(-9).reverse().entries()) {
      assert.ok(old.every((byte) => byte === round - back));
      assert.equal(old.length, 40_000 + round - back);
    }
  }
  assert.equal(memory.size, 9);
});

test("small chunks take no more than they are", () => {
  const chunks = new LentChunks();
  const memory = new Set<ArrayBufferLike>();
  for (let round = 0; round < 1000; round++) {
    const chunk = chunks.copy(Buffer.alloc(1, round));
    memory.add(chunk.buffer);
    chunks.given(chunk);
    assert.equal(chunk.length, 1);
  }
  assert.ok(memory.size < 20);
});
