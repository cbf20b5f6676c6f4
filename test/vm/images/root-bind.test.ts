import assert from "node:assert/strict";
import { lstat, mkdir, readFile, readdir, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { InvalidConfigError, Sandbox } from "../../../src/index.ts";
import { busyboxTree, output } from "./root-support.ts";
import { metricsOfGuest, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disks"];

const home = useTemporaryHome();
const tree = join(home, "tree, with a comma");
let sandbox: Sandbox;

before(async () => {
  await busyboxTree(tree);
  await writeFile(join(tree, "etc/hosts"), "10.1.2.3 mine\n");
  // As images are made that get their id when they first boot (machine-id(5)).
  await writeFile(join(tree, "etc/machine-id"), "uninitialized\n");
  await symlink("/etc/hosts", join(tree, "absolute"));
  // Links where the agent has files of its own: one to another file, one to none.
  await writeFile(join(tree, "victim"), "mine\n");
  await rm(join(tree, "etc/hostname"), { force: true });
  await symlink("../victim", join(tree, "etc/hostname"));
  await rm(join(tree, "etc/profile.d"), { recursive: true, force: true });
  await mkdir(join(tree, "etc/profile.d"));
  await symlink("/nothing", join(tree, "etc/profile.d/microsandbox.sh"));
  await mkdir(join(tree, "run"), { recursive: true });
  await writeFile(join(tree, "run/brought"), "content\n");
  sandbox = await Sandbox.builder("bound")
    .image(tree)
    .memory(256)
    .patch((p) => p.mkdir("/run/patched", { mode: 0o711 }).text("/srv/patched/file", "patched\n"))
    .create();
});

test("what the guest writes is on the host at once, as it is in the guest", async () => {
  await output(
    sandbox,
    "umask 022; mkdir /made; echo guest > /made/file; ln -s ../made/file /made/link; chmod 750 /made/file; ln /made/file /made/hard",
  );
  assert.equal(await readFile(join(tree, "made/file"), "utf8"), "guest\n");
  assert.equal(await readlink(join(tree, "made/link")), "../made/file");
  const status = await stat(join(tree, "made/file"));
  assert.deepEqual([status.mode & 0o7777, status.nlink], [0o750, 2]);
  await output(sandbox, "mv /made/file /made/moved; rm /made/link /made/hard");
  assert.deepEqual(await readdir(join(tree, "made")), ["moved"]);
});

test("patches change the directory, below the memory that is over it too", async () => {
  assert.equal(await readFile(join(tree, "srv/patched/file"), "utf8"), "patched\n");
  assert.equal((await stat(join(tree, "run/patched"))).mode & 0o7777, 0o711);
  assert.equal(
    await output(sandbox, "stat -c %a /run/patched; cat /srv/patched/file; grep -c ' /run ' /proc/mounts"),
    "711\npatched\n2",
  );
});

test("what the host writes is in the guest at once", async () => {
  await mkdir(join(tree, "host"));
  await writeFile(join(tree, "host/file"), "one");
  assert.equal(await output(sandbox, "cat /host/file"), "one");
  await writeFile(join(tree, "host/file"), "another");
  assert.equal(await output(sandbox, "cat /host/file; chmod +x /host/file; ls /host"), "anotherfile");
});

test("absolute links lead to places in the guest, not on the host", async () => {
  assert.equal(await output(sandbox, "cat /absolute"), await output(sandbox, "cat /etc/hosts"));
});

test("the guest has its own name and hosts, and the directory keeps its files", async () => {
  assert.equal(await output(sandbox, "cat /etc/hostname; hostname"), "bound\nbound");
  assert.match(await output(sandbox, "cat /etc/hosts"), /^127\.0\.1\.1\tbound$/m);
  assert.match(await output(sandbox, "cat /etc/machine-id"), /^[0-9a-f]{32}$/);
  assert.equal(await readFile(join(tree, "etc/hosts"), "utf8"), "10.1.2.3 mine\n");
  assert.equal(await readFile(join(tree, "etc/machine-id"), "utf8"), "uninitialized\n");
  assert.equal(await output(sandbox, "cat /victim; test -s /etc/profile.d/microsandbox.sh"), "mine");
  assert.equal(await readFile(join(tree, "victim"), "utf8"), "mine\n");
  await assert.rejects(lstat(join(tree, "nothing")));
  assert.equal(
    await output(sandbox, "cat /run/brought; echo changed > /run/brought; touch /tmp/x"),
    "content",
  );
  assert.equal(await readFile(join(tree, "run/brought"), "utf8"), "content\n");
  for (const name of ["proc", "sys", "dev", "tmp", ".msb"]) {
    assert.deepEqual(await readdir(join(tree, name)), [], name);
  }
});

test("large writes and writes in place reach the host", async () => {
  await output(sandbox, "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; sync");
  await output(sandbox, "printf middle | dd of=/big bs=1 seek=4194304 conv=notrunc 2>/dev/null");
  const big = await readFile(join(tree, "big"));
  assert.equal(big.length, 8 << 20);
  assert.equal(big.toString("latin1", 4 << 20, (4 << 20) + 6), "middle");
});

test("owners: kept when the host's process is root, and otherwise one's own", async () => {
  const { code } = await sandbox.shell("touch /owned && chown 1000:1000 /owned");
  const { uid } = await lstat(join(tree, "owned"));
  const own = process.getuid?.();
  assert.deepEqual([code, uid], own === 0 ? [0, 1000] : [1, own]);
  assert.equal(await output(sandbox, "stat -c %u /owned"), String(uid));
});

test("metrics have no writable layer, and do not take the host's file system for one", async () => {
  const metrics = await metricsOfGuest(sandbox);
  assert.deepEqual(
    [metrics.upperUsedBytes, metrics.upperFreeBytes, metrics.upperHostAllocatedBytes],
    [null, null, null],
  );
});

test("a second start finds what the first left", async () => {
  await output(sandbox, "echo kept > /kept");
  await sandbox.stop();
  assert.equal(await readFile(join(tree, "kept"), "utf8"), "kept\n");
  const again = await Sandbox.start("bound");
  assert.equal(await output(again, "cat /kept; df -T / | awk 'END { print $2 }'"), "kept\n9p");
  await again.stop();
  assert.equal(await lstat(join(home, "sandboxes/bound/upper.img")).catch(() => null), null);
});

test("a root that is no directory any more is told", async () => {
  const error = await Sandbox.builder("missing")
    .image(join(home, "no-such"))
    .create()
    .catch((e: unknown) => e);
  assert.ok(error instanceof InvalidConfigError);
});
