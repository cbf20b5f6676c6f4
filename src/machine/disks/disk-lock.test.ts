import assert from "node:assert/strict";
import { test } from "node:test";
import { diskInUse, isDiskInUse } from "./disk-lock.ts";

test("knows QEMU's words for a disk in use", () => {
  for (const words of [
    'qemu-system-x86_64: -blockdev {}: Failed to get "write" lock\nIs another process using the image [/a.raw]?',
    'qemu-system-x86_64: Failed to get shared "write" lock',
    'qemu-system-x86_64: Failed to get "consistent read" lock',
  ]) {
    assert.equal(isDiskInUse(words), true, words);
  }
  assert.equal(isDiskInUse("qemu-system-x86_64: Could not open '/a.raw': Permission denied"), false);
});

test("finds the name of the disk that is in use", () => {
  const words = 'Failed to get "write" lock\nIs another process using the image [/srv/[a] b.raw]?';
  assert.equal(diskInUse(words), "/srv/[a] b.raw");
  assert.equal(diskInUse('Failed to get "write" lock'), null);
});
