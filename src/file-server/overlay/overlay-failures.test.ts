import assert from "node:assert/strict";
import fs, { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fields, texts } from "../../../test/support/fuse-kernel.ts";
import { OverlayGuest, settled, snapshot } from "../../../test/support/overlay-guest.ts";
import { errno, setattrFlags as valid } from "../fuse/numbers.ts";

function fill(host: string): void {
  mkdirSync(join(host, "dir"), { recursive: true });
  mkdirSync(join(host, "empty"));
  for (const name of ["a", "b", "dir/c"]) writeFileSync(join(host, name), `${name}\n`);
}

/** @returns whether one file fewer than `left` was opened by what is done */
function withFailingOpen(t: TestContext, left: number, act: () => void): boolean {
  const { openSync } = fs;
  let opened = 0;
  t.mock.method(fs, "openSync", (...args: Parameters<typeof openSync>) => {
    if (opened++ === left) throw Object.assign(new Error("EMFILE"), { code: "EMFILE" });
    return openSync(...args);
  });
  syncBuiltinESMExports();
  try {
    act();
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
  return opened <= left;
}

test("whichever file cannot be opened while one is copied, the host's is never written to", (t) => {
  for (let left = 0, isAll = false; !isAll; left++) {
    const guest = new OverlayGuest(t, {}, fill);
    const { kernel } = guest;
    const node = guest.node("dir/c");
    const readers = [kernel.open(node), kernel.open(node)];
    const before = snapshot(guest.host);
    isAll = withFailingOpen(t, left, () => kernel.ask("open", node, fields([32, 2], [32, 0])));
    const times = Buffer.concat([fields([32, valid.mtime], [32, 0]), Buffer.alloc(80)]);
    kernel.ask("setattr", node, times);
    kernel.setattr(guest.node("dir/c"), valid.mode, { mode: 0o600 });
    for (const each of new Set([node, guest.node("dir/c")])) {
      const opened = kernel.ask("open", each, fields([32, 2], [32, 0]));
      if (opened.errno !== 0) assert.equal(opened.errno, errno.stale);
      else kernel.write(each, Number(opened.body.readBigUInt64LE(0)), "guest");
    }
    assert.deepEqual(snapshot(guest.host), before, `with ${left} files opened`);
    assert.equal(guest.read("dir/c"), "guest\n");
    if (isAll) for (const reader of readers) assert.equal(kernel.read(node, reader).toString(), "guest\n");
    assert.ok(left < 100);
  }
});

test("a rename that fails leaves no trace", (t) => {
  const guest = new OverlayGuest(t, { quotaBytes: 8 * 4096 }, fill);
  guest.mkdir("made");
  assert.equal(guest.rename("made", "empty", 4), errno.inval);
  guest.create("src", "x");
  assert.equal(guest.rename("src", "b", 4), errno.inval);
  assert.ok(guest.list().includes("empty"));
  const { size } = statSync(guest.layer.journal);
  for (let made = 0; made < 20; made++)
    guest.kernel.ask("mkdir", 1, Buffer.concat([fields([32, 0o755], [32, 0]), texts(`x${made}`)]));
  // There is no room for the directory that it is to be in.
  for (let round = 0; round < 3; round++) assert.equal(guest.rename("src", "dir/c"), errno.nospc);
  assert.equal(statSync(guest.layer.journal).size, size);
});

test("what fails again and again makes the journal no longer", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  guest.create("src", "x");
  guest.node("b");
  const size = (): number => {
    t.mock.method(fs, "renameSync", () => {
      throw Object.assign(new Error("EIO"), { code: "EIO" });
    });
    syncBuiltinESMExports();
    assert.notEqual(guest.rename("src", "b"), 0);
    t.mock.restoreAll();
    syncBuiltinESMExports();
    return statSync(guest.layer.journal).size;
  };
  const first = size();
  assert.equal(size(), first);
});

test("a file of the guest's is not replaced by a copy of another one", async (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  const { kernel, host } = guest;
  await settled(join(host, "a"));
  const node = guest.node("a");
  kernel.open(node);
  renameSync(join(host, "a"), join(host, "aside"));
  writeFileSync(join(host, "a"), "another");
  kernel.ask("unlink", 1, texts("a"));
  guest.create("a", "of the guest's");
  renameSync(join(host, "aside"), join(host, "a"));
  const { errno: answer } = kernel.ask("open", node, fields([32, 1], [32, 0]));
  assert.equal(answer, errno.stale);
  assert.equal(readFileSync(join(guest.layer.files, "a"), "utf8"), "of the guest's");
});
