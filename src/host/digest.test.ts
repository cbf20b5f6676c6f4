import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { smallSha256 } from "./digest.ts";

test("is SHA-256", () => {
  for (const content of ["", "abc", "ü".repeat(100), randomBytes(1000), new Uint8Array(64)]) {
    assert.equal(smallSha256(content), createHash("sha256").update(content).digest("hex"));
  }
});
