import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fields, texts } from "../../test/support/fuse-kernel.ts";
import { ServedDirectory } from "../../test/support/served-directory.ts";
import { errno, setattrFlags as valid } from "./fuse/numbers.ts";

const root = 1;
const kib = 1024;

test("a guest adds as much as it may, in whatever way, and gets back what it removes", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-quota-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  writeFileSync(join(host, "old"), "x".repeat(50 * kib));
  using guest = new ServedDirectory(host, { quotaBytes: 100 * kib });
  const { id, handle } = guest.create(root, "file");
  const text = "x".repeat(32 * kib);
  for (const index of [0, 1, 2]) {
    assert.equal(guest.write(id, handle, text, index * 32 * kib).errno, index < 3 ? 0 : errno.nospc);
  }
  assert.equal(guest.write(id, handle, text, 96 * kib).errno, errno.nospc);
  assert.equal(guest.write(id, handle, text, 0).errno, 0, "writing over what is there adds nothing");
  assert.equal(guest.setattr(id, valid.size, { size: 1 << 30 }).errno, errno.nospc);
  assert.equal(
    guest.ask("mkdir", root, Buffer.concat([fields([32, 0o755], [32, 0]), texts("d")])).errno,
    errno.nospc,
  );
  assert.equal(statSync(join(host, "file")).size, 96 * kib);
  const free = guest.must("statfs", root);
  assert.equal(Number(free.readBigUInt64LE(16)), 0);

  // Who has it open has its room, too.
  guest.must("unlink", root, texts("file"));
  assert.equal(
    guest.ask("mkdir", root, Buffer.concat([fields([32, 0o755], [32, 0]), texts("d")])).errno,
    errno.nospc,
  );
  guest.release(id, handle);
  const next = guest.create(root, "next");
  assert.equal(guest.write(next.id, next.handle, text).errno, 0);
  assert.equal(guest.setattr(next.id, valid.size, { size: 0 }).errno, 0);

  // What was there before the guest may be removed, and is no more than what it has added.
  guest.must("unlink", root, texts("old"));
  const { id: last, handle: open } = guest.create(root, "last");
  assert.equal(guest.write(last, open, "x".repeat(100 * kib)).errno, errno.nospc);
  assert.equal(guest.write(last, open, "x".repeat(90 * kib)).errno, 0);
});
