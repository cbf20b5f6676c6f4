import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fields, texts } from "../../test/support/fuse-kernel.ts";
import { OverlayGuest, setattrFlags as valid, settled } from "../../test/support/overlay-guest.ts";
import { settleLayer } from "./settle-layer.ts";

const names = ["a", "b", "dir/d", "dir/deep/e"];

async function guestWithFiles(t: TestContext): Promise<OverlayGuest> {
  const guest = new OverlayGuest(t, {}, (host) => {
    mkdirSync(join(host, "dir/deep"), { recursive: true });
    for (const name of names) writeFileSync(join(host, name), `${name}\n`);
  });
  await settled(...names.map((name) => join(guest.host, name)));
  return guest;
}

async function settle(guest: OverlayGuest): Promise<void> {
  await settleLayer(guest.layer, guest.host);
  guest.restart();
}

test("a deletion that was applied hides nothing that the host makes later", async (t) => {
  const guest = await guestWithFiles(t);
  guest.unlink("a");
  guest.removeTree("dir");
  await guest.apply();
  writeFileSync(join(guest.host, "a"), "later");
  mkdirSync(join(guest.host, "dir"));
  writeFileSync(join(guest.host, "dir/later"), "later");
  assert.deepEqual(await guest.changes(), []);
  // While it runs, too.
  assert.equal(guest.read("a"), "later");
  assert.deepEqual(guest.list("dir"), ["later"]);
  await settle(guest);
  assert.equal(guest.read("a"), "later");
  assert.deepEqual(guest.list(), ["a", "b", "dir"]);
  assert.deepEqual(await guest.changes(), []);
});

test("what was applied, made anew, applied and deleted again is a deletion", async (t) => {
  const guest = await guestWithFiles(t);
  guest.unlink("a");
  await guest.apply();
  guest.create("a", "anew");
  await guest.apply();
  guest.unlink("a");
  assert.deepEqual(await guest.changes(), ["D a"]);
  guest.removeTree("dir");
  guest.create("dir", "a file");
  await guest.apply();
  guest.unlink("dir");
  assert.deepEqual(await guest.changes(), ["D dir"]);
  await guest.apply();
  assert.deepEqual(readdirSync(guest.host), ["b"]);
});

test("a directory that was made anew hides nothing when the host has all of it", async (t) => {
  const guest = await guestWithFiles(t);
  guest.removeTree("dir");
  guest.mkdir("dir");
  guest.create("dir/out", "x");
  await settle(guest);
  assert.deepEqual(await guest.changes(), ["D dir/d", "D dir/deep", "A dir/out"]);
  await guest.apply();
  await settle(guest);
  writeFileSync(join(guest.host, "dir/new"), "by the host");
  assert.deepEqual(await guest.changes(), []);
  assert.deepEqual(guest.list("dir"), ["new", "out"]);
});

test("a directory that was only copied goes with the host's", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("dir/deep/e", "more");
  await guest.apply();
  await settle(guest);
  assert.ok(existsSync(join(guest.layer.files, "dir/deep")));
  rmSync(join(guest.host, "dir"), { recursive: true });
  assert.deepEqual(await guest.changes(), []);
  await settle(guest);
  assert.deepEqual(guest.list(), ["a", "b"]);
  assert.deepEqual(readdirSync(guest.layer.files), []);
});

test("a directory that was copied and has something of the guest's in it stays", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("dir/deep/e", "more");
  rmSync(join(guest.host, "dir"), { recursive: true });
  await settle(guest);
  assert.deepEqual(await guest.changes(), ["A! dir", "A! dir/deep", "A! dir/deep/e"]);
  assert.equal(guest.read("dir/deep/e"), "dir/deep/e\nmore");
});

test("the same mode on both sides is no change, and what is discarded has the host's", async (t) => {
  const guest = await guestWithFiles(t);
  const path = join(guest.host, "dir");
  guest.kernel.setattr(guest.node("dir"), valid.mode, { mode: 0o750 });
  chmodSync(path, 0o750);
  assert.deepEqual(await guest.changes(), []);
  for (const mode of [0o711, 0o555]) {
    guest.kernel.setattr(guest.node("dir"), valid.mode, { mode: 0o750 });
    chmodSync(path, mode);
    assert.deepEqual(await guest.changes(), ["C! dir"]);
    await guest.discard();
    guest.restart();
    assert.deepEqual(await guest.changes(), []);
    assert.equal(guest.kernel.attributes(guest.node("dir")).mode & 0o7777, mode);
  }
  chmodSync(path, 0o755);
  assert.deepEqual(await guest.changes(), []);
  guest.create("dir/new");
  assert.equal(statSync(path).mode & 0o777, 0o755);
});

test("what a directory's owner was for the guest stays when its mode is discarded", async (t) => {
  const guest = await guestWithFiles(t);
  const id = guest.node("dir");
  guest.kernel.setattr(id, valid.uid | valid.gid | valid.mode, { uid: 33, gid: 34, mode: 0o750 });
  assert.deepEqual(await guest.changes(), ["C dir"]);
  await guest.discard();
  guest.restart();
  const { uid, gid, mode } = guest.kernel.attributes(guest.node("dir"));
  assert.deepEqual([uid, gid, mode & 0o7777], [33, 34, 0o755]);
});

test("all names of a file that was applied leave the layer", async (t) => {
  const guest = await guestWithFiles(t);
  guest.create("one", "x");
  guest.kernel.must("link", 1, Buffer.concat([fields([64, guest.node("one")]), texts("two")]));
  await guest.apply();
  await settle(guest);
  assert.deepEqual(readdirSync(guest.layer.files), []);
  writeFileSync(join(guest.host, "two"), "by the host");
  assert.equal(guest.read("two"), "by the host");
  assert.deepEqual(await guest.changes(), []);
});

test("a directory that is too deep is one change, and keeps nothing else from being written", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("a", "more");
  let id = 1;
  for (let depth = 0; depth < 515; depth++) {
    guest.kernel.mkdir(id, "d");
    ({ id } = guest.kernel.lookup(id, "d"));
  }
  const changes = await guest.changes();
  assert.deepEqual([changes.length, changes[0], changes.at(-1)], [514, "C a", `A ${"d/".repeat(512)}d`]);
  const deep = `${"d/".repeat(512)}d`;
  const { refused, conflicts, files } = await guest.apply(({ path }) => path === "a" || path === deep);
  assert.deepEqual(
    refused.map(({ path, message }) => [Buffer.from(path).toString(), message]),
    [[deep, "it is deeper than 512 directories"]],
  );
  assert.deepEqual([conflicts, files], [[], 1]);
  assert.equal(await guest.discard(), 513);
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
});
