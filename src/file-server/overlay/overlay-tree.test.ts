import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { extendedAttributes } from "../../host/files/extended-attributes.ts";
import { fields, texts } from "../../../test/support/fuse-kernel.ts";
import { OverlayGuest, settled, snapshot } from "../../../test/support/overlay-guest.ts";
import { errno, renameFlags, setattrFlags as valid } from "../fuse/numbers.ts";

function writeAttribute(path: string, name: string): void {
  const fd = openSync(path, "r+");
  extendedAttributes().setAttrSync(fd, name, Buffer.from("1"));
  closeSync(fd);
}

function readAttribute(path: string, name: string): string | undefined {
  const fd = openSync(path, "r");
  const value = extendedAttributes().getAttrSync(fd, name);
  closeSync(fd);
  return value?.toString();
}

function fill(host: string): void {
  mkdirSync(join(host, "dir/deep"), { recursive: true });
  for (const name of ["a", "b", "dir/c", "dir/deep/d"]) writeFileSync(join(host, name), `${name}\n`);
  symlinkSync("a", join(host, "link"));
}

test("whatever the guest does, the host's directory stays as it is, byte for byte", async (t) => {
  const guest = new OverlayGuest(t, {}, (path) => {
    fill(path);
    writeAttribute(join(path, "b"), "user.y");
  });
  const { kernel, host } = guest;
  await settled(join(host, "a"), join(host, "dir/deep/d"));
  const before = snapshot(host);
  guest.append("a", "more");
  guest.write("b", "other");
  guest.create("new", "new");
  guest.mkdir("made");
  guest.symlink("made/link", "../a");
  const everything = valid.mode | valid.uid | valid.gid | valid.atime | valid.mtime;
  for (const path of ["dir", "dir/c", "link", "", "made"])
    kernel.setattr(guest.node(path), everything, { mode: 0o4711, uid: 5, gid: 6 });
  const xattr = Buffer.concat([fields([32, 1], [32, 0]), texts("user.x"), Buffer.from("1")]);
  for (const path of ["dir", "dir/c", ""]) kernel.must("setxattr", guest.node(path), xattr);
  kernel.must("removexattr", guest.node("b"), texts("user.y"));
  const [parent, name] = guest.at("dir/hard");
  kernel.must("link", parent, Buffer.concat([fields([64, guest.node("a")]), texts(name)]));
  assert.equal(guest.rename("dir/c", "moved"), 0);
  assert.equal(guest.rename("a", "dir/c"), 0);
  assert.equal(guest.unlink("link"), 0);
  guest.removeTree("dir/deep");
  guest.mkdir("dir/deep");
  guest.create("dir/deep/own", "own");
  for (const path of ["../outside", ".", "x/y"])
    assert.equal(kernel.ask("lookup", 1, texts(path)).errno, errno.inval, path);
  assert.deepEqual(snapshot(host), before);
  assert.equal(readAttribute(join(host, "b"), "user.y"), "1");
  assert.deepEqual(guest.list(), ["b", "dir", "made", "moved", "new"]);
  assert.deepEqual(guest.list("dir"), ["c", "deep", "hard"]);
  assert.deepEqual(guest.list("dir/deep"), ["own"]);
  assert.equal(guest.read("dir/c"), "a\nmore");
  guest.restart();
  assert.deepEqual(guest.list("", true), ["b", "dir", "made", "moved", "new"]);
  assert.deepEqual(guest.list("dir/deep", true), ["own"]);
  assert.equal(guest.read("dir/c"), "a\nmore");
  assert.equal(guest.read("dir/hard"), "a\nmore");
  const { mode, uid, gid } = guest.kernel.attributes(guest.node("moved"));
  assert.deepEqual([mode & 0o7777, uid, gid], [0o4711, 5, 6]);
  assert.deepEqual(snapshot(host), before);
});

test("an open file goes on after it was copied, for who reads it too", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  const { kernel } = guest;
  const node = guest.node("a");
  const { ino } = kernel.attributes(node);
  const reader = kernel.open(node);
  guest.append("a", "more");
  assert.equal(kernel.read(node, reader).toString(), "a\nmore");
  assert.equal(guest.node("a"), node, "it has its number still");
  assert.equal(kernel.attributes(node).ino, ino);
  assert.equal(guest.unlink("a"), 0);
  assert.equal(kernel.read(node, reader).toString(), "a\nmore");
  kernel.release(node, reader);
});

test("a directory of the host's is not renamed, one of the guest's is", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  assert.equal(guest.rename("dir", "other"), errno.xdev);
  guest.create("dir/new");
  assert.equal(guest.rename("dir", "other"), errno.xdev);
  guest.mkdir("mine");
  guest.create("mine/file", "x");
  assert.equal(guest.rename("mine", "dir/deep"), errno.notempty);
  assert.equal(guest.rename("mine", "a"), errno.notdir);
  assert.equal(guest.rename("a", "dir"), errno.isdir);
  guest.removeTree("dir/deep");
  assert.equal(guest.rename("mine", "dir/deep"), 0);
  assert.deepEqual(guest.list("dir/deep"), ["file"]);
  guest.restart();
  assert.deepEqual(guest.list("dir/deep"), ["file"]);
  assert.equal(guest.read("dir/deep/file"), "x");
});

test("names are exchanged, and not replaced when that is not wanted", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  assert.equal(guest.rename("a", "b", renameFlags.noReplace), errno.exist);
  assert.equal(guest.rename("a", "b", renameFlags.exchange), 0);
  assert.deepEqual([guest.read("a"), guest.read("b")], ["b\n", "a\n"]);
  assert.equal(guest.rename("a", "dir", renameFlags.exchange), errno.xdev);
  assert.equal(guest.rename("a", "free", renameFlags.noReplace), 0);
  guest.restart();
  assert.deepEqual([guest.read("free"), guest.read("b")], ["b\n", "a\n"]);
  assert.deepEqual(guest.list(), ["b", "dir", "free", "link"]);
});

test("what the guest makes over what it has deleted is its own", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  assert.equal(guest.rmdir("dir"), errno.notempty);
  guest.removeTree("dir");
  guest.create("dir", "a file now");
  guest.unlink("a");
  guest.mkdir("a");
  guest.create("a/in", "it");
  guest.restart();
  assert.equal(guest.read("dir"), "a file now");
  assert.deepEqual(guest.list("a"), ["in"]);
  guest.unlink("dir");
  guest.mkdir("dir");
  assert.deepEqual(guest.list("dir"), []);
});

test("other names of a file of the host's stay what they are", (t) => {
  const guest = new OverlayGuest(t, {}, (host) => {
    writeFileSync(join(host, "one"), "text");
    linkSync(join(host, "one"), join(host, "two"));
  });
  const node = guest.node("one");
  assert.equal(guest.node("two"), node);
  guest.append("one", " more");
  assert.equal(guest.read("one"), "text more");
  assert.equal(guest.read("two"), "text");
  assert.ok(guest.kernel.notifications.length > 0, "the kernel is told that its name is another file");
});

test("what the host changes shows, also where the guest has looked before", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  guest.create("dir/mine", "x");
  guest.list("dir");
  writeFileSync(join(guest.host, "dir/later"), "later");
  writeFileSync(join(guest.host, "aside"), "replaced");
  renameSync(join(guest.host, "aside"), join(guest.host, "dir/c"));
  assert.deepEqual(guest.list("dir"), ["c", "deep", "later", "mine"]);
  assert.equal(guest.read("dir/c"), "replaced");
  rmSync(join(guest.host, "dir"), { recursive: true });
  assert.deepEqual(guest.list("dir"), ["mine"]);
  assert.equal(guest.read("dir/mine"), "x");
});

test("a quota is for what is in the layer, and what is refused leaves nothing", (t) => {
  const guest = new OverlayGuest(t, { quotaBytes: 64 << 10 }, (host) => {
    writeFileSync(join(host, "big"), Buffer.alloc(100 << 10));
    writeFileSync(join(host, "small"), "small");
  });
  const ask = (flags: number): number =>
    guest.kernel.ask("open", guest.node("big"), fields([32, flags], [32, 0])).errno;
  assert.equal(ask(2), errno.nospc);
  assert.equal(guest.kernel.attributes(guest.node("big")).size, 100 << 10);
  assert.equal(ask(1 | 0o1000), 0, "nothing of it is copied when it is emptied");
  for (let round = 0; round < 100; round++) {
    guest.create("file", "x".repeat(8000));
    assert.equal(guest.unlink("file"), 0);
  }
  // What the host has takes none of the guest's room, and gives none.
  assert.equal(guest.unlink("small"), 0);
  guest.restart();
  assert.equal(guest.kernel.attributes(guest.node("big")).size, 0);
});

test("a journal that was cut off, and damaged, still says the rest", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  guest.unlink("a");
  appendFileSync(guest.layer.journal, '\n["hide","b');
  guest.restart();
  guest.unlink("link");
  appendFileSync(guest.layer.journal, '\n{"hide":1}\n["hide",5,null]\n["other","b",null]\nnull\n');
  guest.restart();
  assert.deepEqual(guest.list(), ["b", "dir"]);
  assert.match(readFileSync(guest.layer.journal, "utf8"), /link/);
});

test("names of any bytes", (t) => {
  const guest = new OverlayGuest(t, {}, fill);
  const name = Buffer.from([0xff, 0xfe, 0x22, 0x0a, 0x41]);
  const long = "é".repeat(127);
  const { id, handle } = guest.kernel.create(1, name);
  guest.kernel.release(id, handle);
  guest.create(long, "x");
  guest.restart();
  assert.ok(guest.list().includes(name.toString("latin1")));
  assert.equal(guest.read(long), "x");
  guest.kernel.lookup(1, name);
  assert.equal(guest.kernel.ask("unlink", 1, texts(name)).errno, 0);
});
