import assert from "node:assert/strict";
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { kindOfFileSystem } from "./file-system-kinds.ts";

test("the types of this system's own file systems are known", () => {
  assert.equal(kindOfFileSystem(statfsSync("/proc").type), "system");
  assert.equal(kindOfFileSystem(statfsSync("/sys").type), "system");
  assert.equal(kindOfFileSystem(statfsSync(tmpdir()).type), "files");
  // As a number of 32 bits with a sign, too.
  assert.equal(kindOfFileSystem(0xff53_4d42 | 0), "remote");
  assert.equal(kindOfFileSystem(0xf97c_ff8c), "system");
});
