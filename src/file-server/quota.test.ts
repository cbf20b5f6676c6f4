import assert from "node:assert/strict";
import { closeSync, constants, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fields, texts } from "../../test/support/fuse-kernel.ts";
import { ServedDirectory } from "../../test/support/served-directory.ts";
import { errno, setattrFlags as valid } from "./fuse/numbers.ts";
import { fileBytes } from "./quota.ts";
import { usedBytes } from "./used-bytes.ts";

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

test("a link gives back what it took, however long its target is", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-quota-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  using guest = new ServedDirectory(host, { quotaBytes: 100 * kib });
  const { id, handle } = guest.create(root, "file");
  assert.equal(guest.write(id, handle, "x".repeat(60 * kib)).errno, 0);
  const { left } = guest.served.quota;
  for (let round = 0; round < 50; round++) {
    guest.must("symlink", root, texts("link", "t".repeat(4000)));
    guest.must("unlink", root, texts("link"));
  }
  assert.equal(guest.served.quota.left, left);
  assert.equal(guest.write(id, handle, "x".repeat(60 * kib), 60 * kib).errno, errno.nospc);
  guest.must("symlink", root, texts("link", "t".repeat(4000)));
  assert.equal(usedBytes(host), 60 * kib + 2 * fileBytes, "as the next sandbox counts it");
});

test("what fails takes no room and gives none back", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-quota-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  writeFileSync(join(host, "there"), "x".repeat(30 * kib));
  using guest = new ServedDirectory(host, { quotaBytes: 100 * kib });
  const { id, handle } = guest.create(root, "mine");
  assert.equal(guest.write(id, handle, "x".repeat(40 * kib)).errno, 0);
  const { left } = guest.served.quota;
  assert.equal(left, (100 - 4 - 40) * kib);
  const mode = fields([32, 0o755], [32, 0]);
  assert.equal(guest.ask("mkdir", root, Buffer.concat([mode, texts("there")])).errno, errno.exist);
  assert.equal(guest.ask("symlink", root, texts("there", "to")).errno, errno.exist);
  const node = fields([32, 0o100644], [32, 0], [32, 0], [32, 0]);
  assert.equal(guest.ask("mknod", root, Buffer.concat([node, texts("there")])).errno, errno.exist);
  // O_TRUNC with O_EXCL, of what the guest has not made itself; and a name that is longer than there may be.
  const create = (name: string): Buffer =>
    Buffer.concat([fields([32, 0o1000 | 0o200 | 2], [32, 0o644], [32, 0], [32, 0]), texts(name)]);
  assert.equal(guest.ask("create", root, create("there")).errno, errno.exist);
  assert.notEqual(guest.ask("create", root, create("x".repeat(256))).errno, 0);
  // Descriptors that cannot be written to, so that the calls on them fail.
  const { tree, handles } = guest.served;
  const open = tree.open.bind(tree);
  tree.open = (node) => open(node, constants.O_RDONLY);
  assert.equal(guest.setattr(id, valid.size, { size: 60 * kib }).errno, errno.inval);
  const readable = openSync(join(host, "mine"), constants.O_RDONLY);
  t.after(() => closeSync(readable));
  const handleOfIt = handles.file(handle);
  handles.file = () => ({ ...handleOfIt, fd: readable });
  assert.equal(guest.write(id, handle, "x".repeat(kib), 40 * kib).errno, errno.badf);
  assert.equal(guest.served.quota.left, left);
});

test("another name takes the room of a name, before and after a mount", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-names-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  const limits = { quotaBytes: 100 * kib, quotaCountsAll: true };
  const names = Array.from({ length: 5 }, (_, index) => `name${index}`);
  const linkAs = (guest: ServedDirectory, id: number, name: string): number =>
    guest.ask("link", root, Buffer.concat([fields([64, id]), texts(name)])).errno;
  const fill = (guest: ServedDirectory, bytes: number): number => {
    const { id, handle } = guest.create(root, "filling");
    const outcome = guest.write(id, handle, "x".repeat(bytes)).errno;
    guest.must("unlink", root, texts("filling"));
    guest.release(id, handle);
    return outcome;
  };
  {
    using guest = new ServedDirectory(host, limits);
    const { id, handle } = guest.create(root, "file");
    assert.equal(guest.write(id, handle, "x".repeat(60 * kib)).errno, 0);
    guest.release(id, handle);
    for (const name of names) assert.equal(linkAs(guest, id, name), 0);
    // 60 KiB, six names, and the one to fill it with.
    assert.equal(fill(guest, 13 * kib), errno.nospc);
    assert.equal(fill(guest, 12 * kib), 0);
  }
  using guest = new ServedDirectory(host, limits);
  assert.equal(fill(guest, 13 * kib), errno.nospc);
  assert.equal(fill(guest, 12 * kib), 0);
  for (const name of names) guest.must("unlink", root, texts(name));
  assert.equal(fill(guest, 33 * kib), errno.nospc);
  assert.equal(fill(guest, 32 * kib), 0);
  guest.must("unlink", root, texts("file"));
  assert.equal(fill(guest, 96 * kib), 0);
});
