import assert from "node:assert/strict";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fields, texts } from "../../../test/support/fuse-kernel.ts";
import { entryIn, ServedDirectory } from "../../../test/support/served-directory.ts";
import { errno, setattrFlags as valid, writeFlags } from "../fuse/numbers.ts";
import type { ServedPath } from "../options.ts";
import { extendedAttributes } from "../../host/files/extended-attributes.ts";
import { overrideName } from "../../overlay/guest-attributes.ts";

const root = 1;
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function hostDirectory(t: TestContext): string {
  const host = mkdtempSync(join(tmpdir(), "msb-owners-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  return host;
}

function serveIt(t: TestContext, host: string, options: Partial<ServedPath> = {}): ServedDirectory {
  const guest = new ServedDirectory(host, options);
  t.after(() => guest[Symbol.dispose]());
  return guest;
}

test("what a user of the guest makes is that user's in the guest and the host user's on the host", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host);
  const made = guest.create(root, "file", { uid: 1000, gid: 1001, mode: 0o4755 });
  assert.deepEqual([made.uid, made.gid, made.mode], [1000, 1001, 0o104755]);
  const { uid, gid, mode } = statSync(join(host, "file"));
  assert.deepEqual({ uid, gid, mode }, { ...own, mode: 0o100755 });
  // Another sandbox, or the same one when it runs again.
  const again = serveIt(t, host).lookup(root, "file");
  assert.deepEqual([again.uid, again.gid, again.mode], [1000, 1001, 0o104755]);
  assert.equal(guest.lookup(root, "file").id, made.id);
});

test("what is the host user's is root's in the guest, and any user there may write to it", (t) => {
  const host = hostDirectory(t);
  writeFileSync(join(host, "file"), "");
  const guest = serveIt(t, host);
  const { id, uid, gid } = guest.lookup(root, "file");
  assert.deepEqual([uid, gid], [0, 0]);
  assert.equal(guest.write(id, guest.open(id, 2), "by 1000").errno, 0);
});

test("chown and chmod are the guest's alone", (t) => {
  const host = hostDirectory(t);
  writeFileSync(join(host, "file"), "");
  chmodSync(join(host, "file"), 0o644);
  const guest = serveIt(t, host);
  const { id } = guest.lookup(root, "file");
  assert.equal(guest.setattr(id, valid.uid | valid.gid, { uid: 5, gid: 6 }).errno, 0);
  assert.equal(guest.setattr(id, valid.mode, { mode: 0o7711 }).errno, 0);
  const { uid, gid, mode } = guest.attributes(id);
  assert.deepEqual([uid, gid, mode], [5, 6, 0o107711]);
  assert.equal(statSync(join(host, "file")).mode & 0o7777, 0o644);
  assert.equal(statSync(join(host, "file")).uid, own.uid);
  // Of a link it is known while the guest uses it: a link can keep nothing.
  const link = entryIn(guest.must("symlink", root, texts("link", "file")));
  assert.equal(guest.setattr(link.id, valid.uid, { uid: 7 }).errno, 0);
  assert.equal(guest.attributes(link.id).uid, 7);
});

test("mirrored permissions are the host's too, without what is dangerous there", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host, { hostPermissions: "mirror" });
  const { id } = guest.create(root, "script");
  assert.equal(guest.setattr(id, valid.mode, { mode: 0o6555 }).errno, 0);
  assert.equal(guest.attributes(id).mode, 0o106555);
  assert.equal(statSync(join(host, "script")).mode & 0o7777, 0o755);
});

test("one owner for all", (t) => {
  const host = hostDirectory(t);
  writeFileSync(join(host, "old"), "");
  const guest = serveIt(t, host, { owner: { uid: 1000, gid: 1000 } });
  const made = guest.create(root, "new", { uid: 0, gid: 0 });
  for (const id of [made.id, guest.lookup(root, "old").id, root]) {
    const { uid, gid } = guest.attributes(id);
    assert.deepEqual([uid, gid], [1000, 1000]);
  }
});

test("without virtualization owners and modes are the host's own", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host, { statVirtualization: "off" });
  const made = guest.create(root, "file", { uid: 1000, gid: 1000, mode: 0o640 });
  assert.deepEqual([made.uid, made.gid, made.mode], [own.uid, own.gid, 0o100640]);
  assert.equal(guest.setattr(made.id, valid.mode, { mode: 0o755 }).errno, 0);
  assert.equal(statSync(join(host, "file")).mode & 0o7777, 0o755);
  // As root on the host that would make root of everybody there.
  assert.equal(guest.setattr(made.id, valid.mode, { mode: 0o6755 }).errno, 0);
  assert.equal(statSync(join(host, "file")).mode & 0o7777, 0o755);
  guest.create(root, "program", { mode: 0o6711 });
  assert.equal(statSync(join(host, "program")).mode & 0o7777, 0o711);
  guest.must("mkdir", root, Buffer.concat([fields([32, 0o3777], [32, 0]), texts("place")]));
  assert.equal(statSync(join(host, "place")).mode & 0o7000, 0);
  const pipe = Buffer.concat([fields([32, 0o10644], [32, 0], [32, 0], [32, 0]), texts("pipe")]);
  assert.equal(guest.ask("mknod", root, pipe).errno, errno.perm);
});

test("devices, pipes and sockets are the guest's, and empty files on the host", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host);
  for (const [name, mode, rdev] of [
    ["pipe", 0o010644, 0],
    ["socket", 0o140755, 0],
    ["null", 0o020666, 0x103],
  ] as const) {
    const body = Buffer.concat([fields([32, mode], [32, rdev], [32, 0], [32, 0]), texts(name)]);
    const made = entryIn(guest.must("mknod", root, body));
    assert.deepEqual([made.mode, made.rdev], [mode, rdev]);
    const stat = statSync(join(host, name));
    assert.ok(stat.isFile() && stat.size === 0);
    const again = serveIt(t, host).lookup(root, name);
    assert.deepEqual([again.mode, again.rdev], [mode, rdev]);
  }
});

test("a set-user-ID file that someone else writes to is none any more", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host);
  const { id, handle } = guest.create(root, "su", { mode: 0o4755 });
  guest.write(id, handle, "x", 0, writeFlags.killSuidgid);
  assert.equal(guest.attributes(id).mode, 0o100755);
});

test("what is written by somebody else as our attribute does no harm", (t) => {
  const host = hostDirectory(t);
  const guest = serveIt(t, host);
  const { id } = guest.create(root, "file", { uid: 1000, gid: 1000 });
  assert.equal(guest.attributes(id).uid, 1000);
  for (const text of ["", "x", "1:2", "99999999999:0:644:0", "-1:0:0:0", "0:0:99:0"]) {
    const served = serveIt(t, host);
    const found = served.lookup(root, "file");
    served.served.owners.change(served.served.nodes.get(found.id), { uid: 1 });
    const node = served.served.nodes.get(found.id);
    writeRaw(join(host, "file"), text);
    node.overrideAtNs = -1n;
    assert.equal(served.attributes(found.id).uid, 0, text);
  }
});

function writeRaw(path: string, text: string): void {
  const fd = openSync(path, "r+");
  try {
    extendedAttributes().setAttrSync(fd, overrideName, Buffer.from(text));
  } finally {
    closeSync(fd);
  }
}
