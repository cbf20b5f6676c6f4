import assert from "node:assert/strict";
import fs, { mkdtempSync, rmSync, writeFileSync, type FSWatcher } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { requestOf } from "../../test/support/fuse-kernel.ts";
import { ServedDirectory, writeBody } from "../../test/support/served-directory.ts";
import { fields, texts } from "../../test/support/fuse-kernel.ts";
import { HostChanges } from "./host-changes.ts";
import { EventQueue } from "./tree/event-queue.ts";
import { HostTree } from "./tree/host-tree.ts";
import type { Node } from "./tree/node.ts";
import { ToldNames } from "./tree/told-names.ts";

const root = 1;

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "msb-changes-"));
  t.after(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** Names that the guest was told are not there, in a directory of which nothing is heard. */
function told(
  t: TestContext,
  names: readonly string[],
): { host: string; tree: HostTree; changes: HostChanges; heard: string[]; takes: (how: boolean) => void } {
  const host = directory(t);
  const tree = new HostTree(host, false);
  const toldNames = new ToldNames();
  toldNames.begin(tree.nodes.root);
  for (const name of names) toldNames.add(tree.nodes.root, name, 0);
  const heard: string[] = [];
  let isTaken = true;
  const changes = new HostChanges({
    mount: 0,
    tree,
    names: toldNames,
    watched: () => [tree.nodes.root],
    notify: (message) => {
      // FUSE_NOTIFY_INVAL_ENTRY has the name at its end.
      if (isTaken && message.readInt32LE(8) === 3) heard.push(message.subarray(36, -1).toString("latin1"));
      return isTaken;
    },
  });
  t.after(() => {
    changes.close();
    tree.close();
  });
  return { host, tree, changes, heard, takes: (how) => (isTaken = how) };
}

test("what was missed is found by looking at everything, in slices", async (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `file${index}`);
  const { host, changes, heard } = told(t, names);
  for (const name of names.slice(0, 900)) writeFileSync(join(host, name), "");
  changes.checkAll();
  assert.ok(heard.length < 900, "the guest gets its turns meanwhile");
  // Looked at already or not: what is missed now is found, too.
  writeFileSync(join(host, "file0"), "");
  for (const name of names.slice(900)) writeFileSync(join(host, name), "");
  changes.checkAll();
  while (heard.length < names.length) await setImmediate();
  assert.deepEqual(new Set(heard), new Set(names));
});

test("what the guest did not take it is told when it takes messages again", async (t) => {
  const names = ["one", "two", "three"];
  const { host, changes, heard, takes } = told(t, names);
  takes(false);
  for (const name of names) writeFileSync(join(host, name), "");
  changes.checkAll();
  changes.tellUntold();
  await setImmediate();
  assert.deepEqual(heard, []);
  takes(true);
  changes.tellUntold();
  assert.deepEqual(heard, names);
});

test("what could not be looked at is looked at again, later and later, until it can", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { host, tree, changes, heard } = told(t, ["file", "other"]);
  const real = tree.statEntry.bind(tree);
  let looks = 0;
  let code = "EMFILE";
  t.mock.method(tree, "statEntry", (parent: Node, name: string) => {
    if (name !== "file" || code === "") return real(parent, name);
    looks++;
    throw Object.assign(new Error("no"), { code });
  });
  for (const name of ["file", "other"]) writeFileSync(join(host, name), "");
  changes.changed(tree.nodes.root, "file");
  t.mock.timers.tick(999);
  assert.equal(looks, 1);
  t.mock.timers.tick(1);
  assert.equal(looks, 2);
  assert.deepEqual(heard, ["other"], "the others are told of");
  t.mock.timers.tick(1_999);
  assert.equal(looks, 2);
  code = "";
  t.mock.timers.tick(1);
  assert.deepEqual(heard, ["other", "file"]);

  // Of one that is gone nothing more is to be told.
  const gone = told(t, ["file"]);
  const missing = t.mock.method(gone.tree, "statEntry", () => {
    throw Object.assign(new Error("no"), { code: "ENOENT" });
  });
  gone.changes.changed(gone.tree.nodes.root, "file");
  t.mock.timers.tick(1_000_000);
  assert.equal(missing.mock.callCount(), 1);
});

test("what happens to a file while the guest is told of it is told next", { timeout: 20_000 }, async (t) => {
  const host = directory(t);
  using guest = new ServedDirectory(host);
  writeFileSync(join(host, "file"), "1");
  const { tree } = guest.served;
  const real = tree.statEntry.bind(tree);
  let isWritten = false;
  t.mock.method(tree, "statEntry", (parent: Node, name: string) => {
    const stat = real(parent, name);
    if (!isWritten) writeFileSync(join(host, "file"), "changed");
    isWritten = true;
    return stat;
  });
  assert.equal(guest.lookup(root, "file").size, 1);
  while (guest.notifications.length === 0) await setImmediate();
});

test("a guest is told to forget what it knows of a directory that cannot be watched any more", (t) => {
  const watchers: FSWatcher[] = [];
  const real = fs.watch;
  t.mock.method(fs, "watch", (...given: unknown[]) => {
    const watcher = Reflect.apply(real, fs, given) as FSWatcher;
    watchers.push(watcher);
    return watcher;
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const host = directory(t);
  using guest = new ServedDirectory(host);
  writeFileSync(join(host, "file"), "1");
  guest.lookup(root, "file");
  guest.lookup(root, "file");
  assert.equal(watchers.length, 1);
  watchers[0]?.emit("error", Object.assign(new Error("gone"), { code: "EIO" }));
  assert.deepEqual(
    guest.notifications.map((message) => message.subarray(36, -1).toString()),
    ["file"],
  );
  guest.lookup(root, "file");
  assert.equal(watchers.length, 2, "it is tried again");
});

test("events that come by the thousand may be fewer than there were", async () => {
  const events = new EventQueue(3);
  let missed = 0;
  const unlisten = events.listen(() => missed++);
  for (const [many, expected] of [
    [2, 0],
    [3, 1],
    [2, 1],
    [1000, 2],
  ] as const) {
    for (let each = 0; each < many; each++) events.took();
    await setImmediate();
    assert.equal(missed, expected, `${many}`);
  }
  unlisten();
});

test("a relay that has lost news is told all of it again, and answered nothing", (t) => {
  const host = directory(t);
  using guest = new ServedDirectory(host);
  guest.must("getattr", root, fields([32, 0], [32, 0], [64, 0]));
  assert.equal(guest.ask("lookup", root, texts("later")).errno, 0);
  writeFileSync(join(host, "later"), "");
  assert.equal(guest.notifications.length, 0);
  assert.equal(guest.raw(requestOf("newsLost", root)), null);
  assert.equal(guest.notifications[0]?.subarray(36, -1).toString(), "later");
});

test("what a guest has in memory of a file it keeps when it opens that again, unless the host has written to it", (t) => {
  const host = directory(t);
  using guest = new ServedDirectory(host);
  writeFileSync(join(host, "file"), "1");
  const { id } = guest.lookup(root, "file");
  /** @returns handle, and whether what is in memory may be kept */
  const open = (flags: number): { handle: number; keeps: boolean } => {
    const body = guest.must("open", id, fields([32, flags], [32, 0]));
    return { handle: Number(body.readBigUInt64LE(0)), keeps: (body.readUInt32LE(8) & 2) !== 0 };
  };
  const writes = open(1);
  assert.equal(writes.keeps, true);
  guest.must("write", id, writeBody(writes.handle, 0, "guest's"));
  guest.must("release", id, fields([64, writes.handle], [32, 1], [32, 0], [64, 0]));
  assert.equal(open(0).keeps, true);
  writeFileSync(join(host, "file"), "host's");
  assert.equal(open(0).keeps, false);
});
