import assert from "node:assert/strict";
import { test } from "node:test";
import { mostHandles } from "./open-limit.ts";

test("a guest may open as many files as leaves the supervisor enough", () => {
  const limits = (soft: string): string =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files   ${soft}   1048576   files\n`;
  assert.equal(mostHandles(1, limits("1048576")), 16_384);
  assert.equal(mostHandles(1, limits("unlimited")), 16_384);
  assert.equal(mostHandles(1, limits("4096")), 1536);
  assert.equal(mostHandles(4, limits("4096")), 192);
  assert.equal(mostHandles(1, limits("1024")), 64);
  assert.ok(mostHandles(1) >= 64);
});
