import assert from "node:assert/strict";
import { test } from "node:test";
import { allocateSummable, sumOf } from "./checksum.ts";
import { loadKernel } from "./kernel.ts";
import { plainSum } from "./plain-sum.ts";

test("without WebAssembly everything is summed all the same", () => {
  // Before the first sum: the kernel is loaded with it. Each test file has a process of its own.
  Reflect.deleteProperty(globalThis, "WebAssembly");
  assert.equal(loadKernel(), null);
  const { bytes, release } = allocateSummable(300_000);
  assert.equal(bytes.length, 300_000);
  for (let at = 0; at < bytes.length; at++) bytes[at] = at * 7;
  for (const [from, to] of [
    [0, 20],
    [1, 1500],
    [3, 65_539],
    [0, 300_000],
  ] as const)
    assert.equal(sumOf(bytes, from, to), plainSum(bytes, from, to));
  release();
});
