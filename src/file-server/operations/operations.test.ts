import assert from "node:assert/strict";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { entryIn, readBody, ServedDirectory } from "../../../test/support/served-directory.ts";
import { fields, texts } from "../../../test/support/fuse-kernel.ts";
import { errno, renameFlags, setattrFlags as valid, writeFlags } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { ServedPath } from "../options.ts";
import { HostTree } from "../tree/host-tree.ts";

const root = 1;
const append = 0o2001;

function closeDirectory({ served: { tree, nodes } }: ServedDirectory, id: number): void {
  assert.ok(tree instanceof HostTree);
  tree.closeDirectory(nodes.get(id));
}

/** A directory that is served, and what lies beside it, which no guest may ever reach. */
function serveDirectory(
  t: TestContext,
  options: Partial<ServedPath> = {},
): { guest: ServedDirectory; host: string; outside: string } {
  const top = realpathSync(mkdtempSync(join(tmpdir(), "msb-served-")));
  const [host, outside] = [join(top, "served"), join(top, "outside")];
  mkdirSync(host);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
  const guest = new ServedDirectory(host, options);
  t.after(() => {
    guest[Symbol.dispose]();
    rmSync(top, { recursive: true, force: true });
  });
  return { guest, host, outside };
}

test("files are made, written, read, renamed and removed", (t) => {
  const { guest, host } = serveDirectory(t);
  const { id, handle } = guest.create(root, "new");
  assert.equal(guest.write(id, handle, "hello world").errno, 0);
  assert.equal(readFileSync(join(host, "new"), "utf8"), "hello world");
  assert.equal(guest.read(id, handle, 6, 3).toString(), "wor");
  assert.equal(guest.read(id, handle, 100).length, 0);
  guest.must("fsync", id, fields([64, handle], [32, 1], [32, 0]));
  guest.release(id, handle);

  const { id: directory } = guest.mkdir(root, "into");
  guest.must("rename", root, Buffer.concat([fields([64, directory]), texts("new", "moved")]));
  assert.deepEqual(readdirSync(join(host, "into")), ["moved"]);
  assert.equal(guest.lookup(directory, "moved").id, id, "it is the same file");
  assert.equal(guest.read(id, guest.open(id)).toString(), "hello world");
  assert.equal(guest.ask("rmdir", root, texts("into")).errno, 39);
  guest.must("unlink", directory, texts("moved"));
  guest.must("rmdir", root, texts("into"));
  assert.deepEqual(readdirSync(host), []);
});

test("a file that is unlinked while it is open is as before for who has it open", (t) => {
  const { guest, host } = serveDirectory(t);
  const { id, handle } = guest.create(root, "gone");
  guest.write(id, handle, "still here");
  guest.must("unlink", root, texts("gone"));
  assert.deepEqual(readdirSync(host), []);
  assert.equal(guest.attributes(id).size, 10);
  assert.equal(guest.setattr(id, valid.size, { size: 5 }).errno, 0);
  assert.equal(guest.read(id, handle).toString(), "still");
  assert.equal(guest.write(id, handle, "!", 5).errno, 0);
  assert.equal(guest.setattr(id, valid.mode, { mode: 0o600 }).errno, 0);
  guest.release(id, handle);
  assert.equal(guest.ask("getattr", id, fields([32, 0], [32, 0], [64, 0])).errno, errno.stale);
});

test("what is appended goes to the end, and what was mapped goes to its place", (t) => {
  const { guest, host } = serveDirectory(t);
  writeFileSync(join(host, "log"), "one\n");
  const { id } = guest.lookup(root, "log");
  const handle = guest.open(id, append);
  writeFileSync(join(host, "log"), "two\n", { flag: "a" });
  guest.write(id, handle, "three\n", 4);
  assert.equal(readFileSync(join(host, "log"), "utf8"), "one\ntwo\nthree\n");
  guest.write(id, handle, "ONE", 0, writeFlags.cache);
  assert.equal(readFileSync(join(host, "log"), "utf8"), "ONE\ntwo\nthree\n");
});

test("names are any bytes, and as long as Linux has them", (t) => {
  const { guest, host } = serveDirectory(t);
  const names = [
    Buffer.from([0xff, 0xfe, 0x0a]),
    Buffer.from("ä"),
    Buffer.from("a:b,c d\\"),
    Buffer.alloc(255, 120),
  ];
  for (const name of names) {
    const { id, handle } = guest.create(root, name);
    guest.release(id, handle);
    assert.equal(guest.lookup(root, name).id, id);
  }
  const found = readdirSync(host, { encoding: "buffer" });
  assert.deepEqual(found.sort(Buffer.compare), [...names].sort(Buffer.compare));
  const listed = guest.list(root).filter((name) => name !== "." && name !== "..");
  assert.deepEqual(listed.sort(), names.map((name) => name.toString("latin1")).sort());
  assert.equal(guest.ask("lookup", root, texts(Buffer.alloc(256, 120))).errno, errno.nametoolong);
});

test("hard links are one file, by whatever name, as long as one is left", (t) => {
  const { guest } = serveDirectory(t);
  const { id, handle } = guest.create(root, "first");
  guest.release(id, handle);
  const link = (name: string): Buffer => Buffer.concat([fields([64, id]), texts(name)]);
  const second = entryIn(guest.must("link", root, link("second")));
  assert.deepEqual([second.id, second.nlink], [id, 2]);
  assert.equal(guest.ask("link", root, link("first")).errno, errno.exist);
  guest.must("unlink", root, texts("second"));
  assert.equal(guest.attributes(id).nlink, 1);
  guest.must("unlink", root, texts("first"));
  assert.equal(guest.ask("getattr", id, fields([32, 0], [32, 0], [64, 0])).errno, errno.stale);
});

test("links are texts for the guest, which nothing on the host follows", (t) => {
  const { guest, host, outside } = serveDirectory(t);
  guest.must("symlink", root, texts("out", outside));
  assert.equal(readlinkSync(join(host, "out")), outside);
  const { id, mode } = guest.lookup(root, "out");
  assert.equal(mode & 0o170000, 0o120000);
  assert.equal(guest.must("readlink", id).toString(), outside);
  assert.equal(guest.ask("lookup", id, texts("secret")).errno, errno.notdir);
  assert.equal(guest.ask("opendir", id, fields([32, 0], [32, 0])).errno, errno.notdir);
  assert.equal(guest.ask("open", id, fields([32, 0], [32, 0])).errno, errno.acces);
  const target = Buffer.concat([fields([32, 2], [32, 0o644], [32, 0], [32, 0]), texts("out")]);
  assert.equal(guest.ask("create", root, target).errno, errno.exist);
  assert.equal(guest.setattr(id, valid.size, { size: 0 }).errno, errno.inval);
  assert.equal(guest.setattr(id, valid.mtime | valid.atime).errno, 0);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
  assert.ok(lstatSync(outside).mtimeMs > 1e12, "the time of what it leads to was changed");
});

test("a directory that becomes a link, at any moment, leads nowhere", (t) => {
  const { guest, host, outside } = serveDirectory(t);
  mkdirSync(join(host, "a/b"), { recursive: true });
  writeFileSync(join(host, "a/b/secret"), "mine");
  const a = guest.lookup(root, "a").id;
  const b = guest.lookup(a, "b").id;
  const file = guest.lookup(b, "secret").id;
  // Nothing of it is open any more, as after a while.
  for (const id of [a, b]) closeDirectory(guest, id);
  renameSync(join(host, "a/b"), join(host, "elsewhere"));
  symlinkSync(outside, join(host, "a/b"));
  for (const [operation, body] of [
    ["lookup", texts("secret")],
    ["mkdir", Buffer.concat([fields([32, 0o755], [32, 0]), texts("made")])],
    ["unlink", texts("secret")],
    ["create", Buffer.concat([fields([32, 2], [32, 0o644], [32, 0], [32, 0]), texts("made")])],
    ["symlink", texts("made", "x")],
    ["opendir", fields([32, 0], [32, 0])],
  ] as const) {
    const { errno: found } = guest.ask(operation, b, body);
    // Listing fails when it is read.
    if (operation !== "opendir") assert.equal(found, errno.stale, operation);
  }
  assert.equal(guest.ask("open", file, fields([32, 2], [32, 0])).errno, errno.stale);
  assert.equal(guest.setattr(file, valid.size, { size: 0 }).errno, errno.stale);
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
});

test("a file whose name another file has now is not mistaken for it", (t) => {
  const { guest, host } = serveDirectory(t);
  writeFileSync(join(host, "name"), "old");
  const { id } = guest.lookup(root, "name");
  writeFileSync(join(host, "new"), "new one");
  renameSync(join(host, "new"), join(host, "name"));
  assert.equal(guest.ask("open", id, fields([32, 2], [32, 0])).errno, errno.stale);
  const other = guest.lookup(root, "name");
  assert.notEqual(other.id, id);
  assert.equal(other.size, 7);
});

test("names that are none are refused, by each operation that takes one", (t) => {
  const { guest, host, outside } = serveDirectory(t);
  writeFileSync(join(host, "x"), "x");
  const { id } = guest.lookup(root, "x");
  const before = [readdirSync(join(host, "..")), readdirSync(host), readdirSync(outside)];
  for (const name of ["", ".", "..", "a/b", "/", "../new", "../outside/secret"]) {
    const made = fields([32, 0o644], [32, 0]);
    for (const [operation, node, body] of [
      ["lookup", root, texts(name)],
      ["unlink", root, texts(name)],
      ["rmdir", root, texts(name)],
      ["symlink", root, texts(name, "target")],
      ["mkdir", root, Buffer.concat([made, texts(name)])],
      ["mknod", root, Buffer.concat([fields([32, 0o100644], [32, 0], [32, 0], [32, 0]), texts(name)])],
      ["create", root, Buffer.concat([fields([32, 2], [32, 0o644], [32, 0], [32, 0]), texts(name)])],
      ["link", root, Buffer.concat([fields([64, id]), texts(name)])],
      ["rename", root, Buffer.concat([fields([64, root]), texts("x", name)])],
      ["rename", root, Buffer.concat([fields([64, root]), texts(name, "y")])],
      ["rename2", root, Buffer.concat([fields([64, root], [32, 0], [32, 0]), texts("x", name)])],
      ["rename2", root, Buffer.concat([fields([64, root], [32, 0], [32, 0]), texts(name, "y")])],
    ] as const)
      assert.equal(guest.ask(operation, node, body).errno, errno.inval, `${operation} "${name}"`);
  }
  assert.deepEqual([readdirSync(join(host, "..")), readdirSync(host), readdirSync(outside)], before);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
});

test("a name that becomes a link while a file is made under it leads nowhere", (t) => {
  const { guest, host, outside } = serveDirectory(t);
  symlinkSync(join(outside, "new"), join(host, "dangling"));
  symlinkSync(join(outside, "secret"), join(host, "leading"));
  // As if both had come after it was looked for.
  const { tree } = guest.served;
  const statEntry = tree.statEntry.bind(tree);
  for (const name of ["dangling", "leading"]) {
    tree.statEntry = (parent, each) => (each === name ? undefined : statEntry(parent, each));
    for (const flags of [2, 2 | 0o1000]) {
      const body = Buffer.concat([fields([32, flags], [32, 0o644], [32, 0], [32, 0]), texts(name)]);
      assert.notEqual(guest.ask("create", root, body).errno, 0, name);
    }
    tree.statEntry = statEntry;
  }
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
});

test("a directory of many files is listed once each, with and without their attributes", (t) => {
  const { guest, host } = serveDirectory(t);
  const names = Array.from({ length: 1000 }, (_, index) => `file-${index}`);
  for (const name of names) writeFileSync(join(host, name), "");
  for (const plus of [false, true]) {
    assert.deepEqual(guest.list(root, plus).sort(), [".", "..", ...names].sort());
  }
  const before = guest.served.nodes.size;
  assert.equal(before, 1001);
  for (const { id } of names.map((name) => guest.lookup(root, name))) {
    guest.raw(forgetMessage(id, 2));
  }
  assert.equal(guest.served.nodes.size, 1);
});

function forgetMessage(id: number, lookups: number): Buffer {
  const message = Buffer.alloc(52);
  message.writeUInt32LE(48, 4);
  message.writeUInt32LE(2, 8);
  message.writeBigUInt64LE(BigInt(id), 20);
  message.writeBigUInt64LE(BigInt(lookups), 44);
  return message;
}

test("a read-only directory takes nothing", (t) => {
  const { guest, host } = serveDirectory(t, { readOnly: true });
  writeFileSync(join(host, "file"), "kept");
  const { id } = guest.lookup(root, "file");
  for (const flags of [1, 2, 0o1000]) {
    assert.equal(guest.ask("open", id, fields([32, flags], [32, 0])).errno, errno.rofs, String(flags));
  }
  const handle = guest.open(id);
  assert.equal(guest.read(id, handle).toString(), "kept");
  assert.equal(guest.write(id, handle, "x").errno, errno.rofs);
  assert.equal(guest.setattr(id, valid.mode, { mode: 0o777 }).errno, errno.rofs);
  for (const [operation, body] of [
    ["unlink", texts("file")],
    ["symlink", texts("a", "b")],
    ["mkdir", Buffer.concat([fields([32, 0o755], [32, 0]), texts("d")])],
    ["mknod", Buffer.concat([fields([32, 0o10644], [32, 0], [32, 0], [32, 0]), texts("p")])],
    ["create", Buffer.concat([fields([32, 2], [32, 0o644], [32, 0], [32, 0]), texts("c")])],
    ["rename", Buffer.concat([fields([64, root]), texts("file", "other")])],
    ["rename2", Buffer.concat([fields([64, root], [32, 0], [32, 0]), texts("file", "other")])],
    ["link", Buffer.concat([fields([64, id]), texts("other")])],
    ["setxattr", Buffer.concat([fields([32, 1], [32, 0]), texts("user.a"), Buffer.from("x")])],
    ["removexattr", texts("user.a")],
    ["fallocate", fields([64, handle], [64, 0], [64, 1], [32, 3], [32, 0])],
  ] as const) {
    const node = ["setxattr", "removexattr", "fallocate"].includes(operation) ? id : root;
    assert.equal(guest.ask(operation, node, body).errno, errno.rofs, operation);
  }
  assert.deepEqual(readdirSync(host), ["file"]);
});

test("a handle that was opened for reading does not write", (t) => {
  const { guest, host } = serveDirectory(t);
  writeFileSync(join(host, "file"), "kept");
  const { id } = guest.lookup(root, "file");
  assert.equal(guest.write(id, guest.open(id), "x").errno, errno.badf);
  assert.equal(guest.write(id, 99, "x").errno, errno.badf);
  assert.equal(readFileSync(join(host, "file"), "utf8"), "kept");
});

test("renaming without replacing, and exchanging", (t) => {
  const { guest, host } = serveDirectory(t);
  writeFileSync(join(host, "a"), "A");
  writeFileSync(join(host, "b"), "B");
  const [a, b] = [guest.lookup(root, "a").id, guest.lookup(root, "b").id];
  const rename2 = (flags: number, from: string, to: string): number =>
    guest.ask("rename2", root, Buffer.concat([fields([64, root], [32, flags], [32, 0]), texts(from, to)]))
      .errno;
  assert.equal(rename2(1, "a", "b"), errno.exist);
  assert.equal(rename2(1, "a", "c"), 0);
  assert.equal(rename2(2, "c", "b"), 0);
  assert.deepEqual(
    [readFileSync(join(host, "b"), "utf8"), readFileSync(join(host, "c"), "utf8")],
    ["A", "B"],
  );
  assert.deepEqual([guest.lookup(root, "b").id, guest.lookup(root, "c").id], [a, b]);
  assert.equal(rename2(4, "b", "d"), errno.inval);
});

test("holes stay holes, and times are kept", (t) => {
  const { guest, host } = serveDirectory(t);
  const { id, handle } = guest.create(root, "sparse");
  guest.write(id, handle, "x", 100 << 20);
  const { blocks, size } = statSync(join(host, "sparse"));
  assert.equal(size, (100 << 20) + 1);
  assert.ok(blocks < 1000, `${blocks} blocks`);
  assert.equal(guest.setattr(id, valid.atime | valid.mtime).errno, 0);
  assert.equal(Math.floor(statSync(join(host, "sparse")).mtimeMs / 1000), 1_000_000_001);
  assert.equal(guest.attributes(id).mtimeSeconds, 1_000_000_001);
});

test("extended attributes of users are kept, and ours are out of reach", (t) => {
  const { guest } = serveDirectory(t);
  const { id } = guest.create(root, "file", { uid: 1000, gid: 1000 });
  const set = (name: string, value: string): number =>
    guest.ask(
      "setxattr",
      id,
      Buffer.concat([fields([32, value.length], [32, 0]), texts(name), Buffer.from(value)]),
    ).errno;
  assert.equal(set("user.colour", "red"), 0);
  const get = (name: string, size: number): ReturnType<typeof guest.ask> =>
    guest.ask("getxattr", id, Buffer.concat([fields([32, size], [32, 0]), texts(name)]));
  assert.equal(get("user.colour", 0).body.readUInt32LE(0), 3);
  assert.equal(get("user.colour", 10).body.toString(), "red");
  assert.equal(get("user.colour", 2).errno, errno.range);
  assert.equal(set("user.msb.stat", "0:0:104777:0"), errno.opnotsupp);
  assert.equal(get("user.msb.stat", 100).errno, errno.nodata);
  assert.equal(get("security.capability", 0).errno, errno.nodata);
  assert.equal(guest.must("listxattr", id, fields([32, 100], [32, 0])).toString(), "user.colour\0");
  assert.equal(guest.ask("removexattr", id, texts("user.msb.stat")).errno, errno.opnotsupp);
  assert.equal(guest.ask("removexattr", id, texts("user.colour")).errno, 0);
  assert.equal(guest.ask("removexattr", id, texts("user.colour")).errno, errno.nodata);
});

test("a file by itself is whatever file has its name, and nothing beside it is there", (t) => {
  const { host } = serveDirectory(t);
  writeFileSync(join(host, "config"), "one");
  writeFileSync(join(host, "beside"), "secret");
  using guest = new ServedDirectory(join(host, "config"), { isFile: true });
  assert.equal(guest.attributes(root).size, 3);
  assert.equal(guest.read(root, guest.open(root)).toString(), "one");
  writeFileSync(join(host, "config.new"), "another");
  renameSync(join(host, "config.new"), join(host, "config"));
  assert.equal(guest.attributes(root).size, 7);
  assert.equal(guest.read(root, guest.open(root)).toString(), "another");
  assert.equal(guest.ask("lookup", root, texts("beside")).errno, errno.notdir);
  assert.equal(guest.ask("opendir", root, fields([32, 0], [32, 0])).errno, errno.notdir);
  assert.equal(guest.ask("unlink", 0, texts("beside")).errno, errno.stale);
});

test("a file by itself whose name becomes a link leads nowhere", (t) => {
  const { host, outside } = serveDirectory(t);
  writeFileSync(join(host, "config"), "one");
  using guest = new ServedDirectory(join(host, "config"), { isFile: true });
  rmSync(join(host, "config"));
  symlinkSync(join(outside, "secret"), join(host, "config"));
  for (const flags of [0, 1, 2, 1 | 0o1000])
    assert.equal(guest.ask("open", root, fields([32, flags], [32, 0])).errno, errno.stale, String(flags));
  assert.equal(guest.setattr(root, valid.size, { size: 0 }).errno, errno.stale);
  assert.equal(guest.ask("getattr", root, fields([32, 0], [32, 0], [64, 0])).errno, errno.stale);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
});

test("a directory is moved to a free name alone, even if that has just been taken", (t) => {
  const { guest, host } = serveDirectory(t);
  guest.mkdir(root, "from");
  writeFileSync(join(host, "from/file"), "kept");
  mkdirSync(join(host, "taken"));
  const move = (to: string): number =>
    guest.ask(
      "rename2",
      root,
      Buffer.concat([fields([64, root], [32, renameFlags.noReplace], [32, 0]), texts("from", to)]),
    ).errno;
  // As if the host had made it after it was looked for.
  const { tree } = guest.served;
  const statEntry = tree.statEntry.bind(tree);
  tree.statEntry = (parent, name) => (name === "taken" ? undefined : statEntry(parent, name));
  assert.equal(move("taken"), errno.exist);
  tree.statEntry = statEntry;
  assert.deepEqual(readdirSync(join(host, "taken")), []);
  assert.equal(move("taken"), errno.exist);
  assert.equal(move("free"), 0);
  assert.equal(readFileSync(join(host, "free/file"), "utf8"), "kept");
  // Into itself: what was made for it is gone again.
  guest.mkdir(root, "from");
  const { id } = guest.lookup(root, "from");
  const into = Buffer.concat([fields([64, id], [32, renameFlags.noReplace], [32, 0]), texts("from", "in")]);
  assert.equal(guest.ask("rename2", root, into).errno, errno.inval);
  assert.deepEqual(readdirSync(join(host, "from")), []);
});

test("a listing goes on when there is no room for more nodes, and one that fails tells of none", (t) => {
  const host = realpathSync(mkdtempSync(join(tmpdir(), "msb-full-")));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  for (let each = 0; each < 10; each++) writeFileSync(join(host, `file${each}`), "");
  using guest = new ServedDirectory(host);
  const { nodes, tree } = guest.served;
  Object.defineProperty(nodes, "isFull", { get: () => nodes.size >= 5 });
  const handle = Number(guest.must("opendir", root, fields([32, 0], [32, 0])).readBigUInt64LE(0));
  const statEntry = tree.statEntry.bind(tree);
  tree.statEntry = (parent, name) => {
    if (name === "file3" || name === "file7") throw new Refusal(errno.io);
    return statEntry(parent, name);
  };
  assert.equal(guest.ask("readdirplus", root, readBody(handle, 0, 4096)).errno, errno.io);
  assert.equal(nodes.size, 1);
  tree.statEntry = statEntry;
  assert.equal(guest.list(root, true).length, 12);
  assert.equal(nodes.size, 5);
  // Whoever asks for one of the others by name hears why.
  const answers = Array.from(
    { length: 10 },
    (_, each) => guest.ask("lookup", root, texts(`file${each}`)).errno,
  );
  assert.deepEqual([...new Set(answers)].sort(), [0, errno.nfile]);
  assert.equal(answers.filter((number) => number === 0).length, 4);
});
