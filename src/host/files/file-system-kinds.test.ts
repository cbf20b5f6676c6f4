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
  assert.equal(kindOfFileSystem(0x9123_683e | 0), "files");
});

test("of a file system that nobody has named here it is not believed that all changes are heard of", () => {
  // FUSE, NFS, BeeGFS, GPFS, prl_fs, vmhgfs, and none at all.
  const types = [0x6573_5546, 0x6969, 0x1983_0326, 0x4750_4653, 0x7c7c_6673, 0xbacb_acbc, 0];
  for (const type of types) assert.equal(kindOfFileSystem(type), "remote", type.toString(16));
});
