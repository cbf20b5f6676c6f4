import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import fs from "node:fs";
import files from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { OverlayGuest, setattrFlags as valid, settled } from "../../test/support/overlay-guest.ts";
import { settleLayer } from "./settle-layer.ts";

const names = ["a", "b", "c", "dir/d", "dir/deep/e"];

async function guestWithFiles(t: TestContext): Promise<OverlayGuest> {
  const guest = new OverlayGuest(t, {}, (host) => {
    mkdirSync(join(host, "dir/deep"), { recursive: true });
    for (const name of names) writeFileSync(join(host, name), `${name}\n`);
  });
  await settled(...names.map((name) => join(guest.host, name)));
  return guest;
}

/** From the second file on that is to be removed, nothing goes on: as for somebody who is killed then. */
async function cutOff(t: TestContext, act: () => Promise<unknown>): Promise<void> {
  const { unlink } = files;
  let left = 1;
  t.mock.method(files, "unlink", async (path: Buffer) => {
    if (left-- <= 0) throw new Error("killed");
    await unlink(path);
  });
  syncBuiltinESMExports();
  try {
    await assert.rejects(act(), { message: "killed" });
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
}

test("a discard that was cut off leaves no deletions", async (t) => {
  const guest = await guestWithFiles(t);
  for (const name of ["a", "b"]) {
    guest.unlink(name);
    guest.create(name, "new");
  }
  await cutOff(t, async () => guest.discard());
  guest.restart();
  assert.deepEqual(await guest.changes(), ["C! b"]);
  assert.equal(guest.read("a"), "a\n");
  await guest.apply();
  assert.deepEqual(readdirSync(guest.host), ["a", "b", "c", "dir"]);
  await guest.discard();
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
});

test("what a guest made a directory of is the host's file again when it is discarded", async (t) => {
  const guest = await guestWithFiles(t);
  guest.unlink("a");
  guest.mkdir("a");
  await guest.discard();
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
  assert.equal(guest.read("a"), "a\n");
});

test("a settle that was cut off leaves no deletions, and the next one ends it", async (t) => {
  const guest = await guestWithFiles(t);
  for (const name of ["a", "b"]) {
    guest.unlink(name);
    guest.create(name, "new");
  }
  guest.removeTree("dir");
  guest.mkdir("dir");
  for (const name of ["d", "f"]) guest.create(`dir/${name}`, "new");
  await guest.apply();
  assert.deepEqual(await guest.changes(), []);
  await cutOff(t, async () => settleLayer(guest.layer, guest.host));
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
  assert.deepEqual(guest.list(), ["a", "b", "c", "dir"]);
  await settleLayer(guest.layer, guest.host);
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
  assert.deepEqual(guest.list("dir"), ["d", "f"]);
  assert.deepEqual(readdirSync(guest.layer.files), ["dir"]);
  assert.deepEqual(readdirSync(join(guest.layer.files, "dir")), []);
});

test("what the host writes at once after a change was applied is no base", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("a", "guest");
  const path = join(guest.host, "a");
  const { renameSync: rename } = fs;
  t.mock.method(fs, "renameSync", (from: Buffer, to: Buffer) => {
    rename(from, to);
    if (readFileSync(path, "utf8") === "a\nguest") writeFileSync(path, "by the host");
  });
  syncBuiltinESMExports();
  await guest.apply();
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.equal(readFileSync(path, "utf8"), "by the host");
  guest.append("a", "more");
  assert.deepEqual(await guest.changes(), ["C! a"]);
});

test("a directory stays until the file that replaces it is there, whole", async (t) => {
  const guest = await guestWithFiles(t);
  guest.removeTree("dir");
  guest.create("dir");
  writeFileSync(join(guest.layer.files, "dir"), Buffer.alloc(3 << 20, "z"));
  const abort = new AbortController();
  const stopped = guest.apply(undefined, abort.signal, () => {
    abort.abort();
  });
  await assert.rejects(stopped, { name: "AbortError" });
  assert.deepEqual(readdirSync(join(guest.host, "dir")), ["d", "deep"]);
  // Neither is what fails at the very last tried in vain the next time.
  t.mock.method(fs, "linkSync", () => {
    throw Object.assign(new Error("EACCES"), { code: "EACCES" });
  });
  syncBuiltinESMExports();
  const { refusedCount } = await guest.apply();
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.deepEqual([refusedCount, await guest.changes()], [1, ["A dir"]]);
  assert.deepEqual((await guest.apply()).conflicts, []);
  assert.equal(statSync(join(guest.host, "dir")).size, 3 << 20);
  assert.deepEqual(await guest.changes(), []);
});

test("a directory without its mode is a change until it has it", async (t) => {
  const guest = await guestWithFiles(t);
  guest.kernel.setattr(guest.node("dir"), valid.mode, { mode: 0o751 });
  guest.mkdir("x");
  for (const name of ["y", "z"]) guest.create(`x/${name}`, name);
  const abort = new AbortController();
  const chooses = (): boolean => true;
  const stopped = guest.apply(chooses, abort.signal, ({ path }) => {
    if (path === "x") abort.abort();
  });
  await assert.rejects(stopped, { name: "AbortError" });
  assert.deepEqual(await guest.changes(), ["C x", "A x/y", "A x/z"]);
  const again = new AbortController();
  const cut = guest.apply(
    ({ path }) => path !== "x",
    again.signal,
    () => {
      again.abort();
    },
  );
  await assert.rejects(cut, { name: "AbortError" });
  assert.equal(statSync(join(guest.host, "x")).mode & 0o777, 0o700);
  assert.ok((await guest.changes()).includes("C x"));
  assert.deepEqual((await guest.apply()).conflicts, []);
  assert.deepEqual(await guest.changes(), []);
  assert.equal(statSync(join(guest.host, "x")).mode & 0o777, 0o755);
  assert.equal(statSync(join(guest.host, "dir")).mode & 0o777, 0o751);
});
