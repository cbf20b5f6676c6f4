import assert from "node:assert/strict";
import { copyFile, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Sandbox, type SandboxConfig } from "../../../src/index.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { busyboxTree, diskOf, output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, kindsOf, runtimeLog, small, templateOf } from "./template-support.ts";

export const needs: Needs = ["template", "disks"];

// What a sandbox's root and kernel have to do with the template that it starts from.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });

afterEach(() => processesGone(home));
after(() => rm(join(home, "tree"), { recursive: true, force: true }));

async function startedFrom(name: string): Promise<string | undefined> {
  const lines = (await runtimeLog(home, name)).matchAll(/started from the (image|machine) template/g);
  return [...lines].at(-1)?.[1];
}

test("a sandbox that starts again keeps its files, its name and its id", { timeout }, async () => {
  const sandbox = await small("again");
  assert.equal(await startedFrom("again"), "image");
  const facts = "cat /etc/machine-id; hostname; cat /root/kept; ls /etc/hosts 2>&1";
  await output(sandbox, "echo kept > /root/kept; rm /etc/motd 2>/dev/null; mkdir /root/directory");
  const before = await output(sandbox, facts);
  const bootId = await output(sandbox, "cat /proc/sys/kernel/random/boot_id");
  await sandbox.stop();
  for (let round = 0; round < 2; round++) {
    const started = await Sandbox.start("again");
    assert.equal(await startedFrom("again"), "machine");
    assert.equal(await output(started, facts), before);
    assert.notEqual(await output(started, "cat /proc/sys/kernel/random/boot_id"), bootId);
    await output(started, `echo ${round} >> /root/rounds`);
    await started.stop();
  }
  const last = await Sandbox.start("again");
  assert.equal(await output(last, "cat /root/rounds"), "0\n1");
  await destroy(last);
  assert.deepEqual(await kindsOf(home), ["image", "machine"]);
});

test("what says that there is no machine id yet is replaced by one", { timeout }, async () => {
  const sandbox = await small("nameless");
  const own = await output(sandbox, "cat /etc/machine-id");
  assert.match(own, /^[0-9a-f]{32}$/);
  // As an image has it that gets its id when it first boots (machine-id(5)).
  await output(sandbox, "echo uninitialized > /etc/machine-id");
  await sandbox.stop();
  const started = await Sandbox.start("nameless");
  const id = await output(started, "cat /etc/machine-id");
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.notEqual(id, own);
  await destroy(started);
});

test("a sandbox that was killed starts again from the machine template", { timeout }, async () => {
  const sandbox = await small("killed");
  await output(sandbox, "echo kept > /root/kept; sync");
  await sandbox.kill();
  const started = await Sandbox.start("killed");
  assert.equal(await startedFrom("killed"), "machine");
  assert.equal(await output(started, "cat /root/kept"), "kept");
  await destroy(started);
});

/** Two sandboxes one after the other: the second one finds the template of the first. */
async function rooted(name: string, changes: Partial<SandboxConfig>): Promise<void> {
  const machine = await templateOf(home, "machine");
  const kinds = await kindsOf(home);
  for (const what of [`${name}-1`, `${name}-2`]) {
    const sandbox = await small(what, changes);
    assert.equal(await startedFrom(what), "machine");
    assert.match(await runtimeLog(home, what), new RegExp(machine.key));
    assert.equal(await output(sandbox, "hostname; echo text > /written; cat /written"), `${what}\ntext`);
    await sandbox.stop();
    await Sandbox.remove(what);
  }
  // A directory or a disk of the user's is no part of any template.
  assert.deepEqual(await kindsOf(home), kinds);
}

test("a directory of the host's as root", { timeout }, async () => {
  const tree = await busyboxTree(join(home, "tree"));
  await rooted("bound", { image: { kind: "bind", path: tree } });
  assert.equal(await readFile(join(tree, "written"), "utf8"), "text\n");
});

test("a disk of the user's as root", { timeout }, async () => {
  const disk = await diskOf(join(home, "tree"), join(home, "disk.raw"), "ext4");
  await rooted("disk", { image: { kind: "disk", path: disk, format: "raw" } });
});

test("a root in memory", { timeout }, async () => {
  for (const name of ["memory-1", "memory-2"]) {
    const sandbox = await small(name, { rootDisk: { kind: "tmpfs", sizeMib: 32 } });
    assert.equal(await startedFrom(name), "machine");
    assert.equal(await output(sandbox, "ls /root; hostname"), name);
    await output(sandbox, "echo mine > /root/mine");
    await sandbox.stop();
    const again = await Sandbox.start(name);
    assert.equal(await output(again, "ls /root; hostname"), name);
    await destroy(again);
  }
});

test("a kernel of the user's has a machine template of its own", { timeout }, async () => {
  const guest = guestDirectory();
  const path = join(home, "own-kernel");
  await symlink(join(guest, "vmlinux"), path);
  const modules = gzipSync(await readFile(join(guest, "initramfs.cpio")), { level: 1 });
  await writeFile(`${path}.initramfs`, modules);
  const before = await kindsOf(home);
  for (const name of ["kernel-1", "kernel-2"]) {
    const sandbox = await small(name, { libkrunfwPath: path });
    assert.equal(await startedFrom(name), "machine");
    assert.equal(await output(sandbox, "hostname"), name);
    await destroy(sandbox);
  }
  assert.deepEqual(await kindsOf(home), [...before, "machine"].sort());
  // The same path with something else behind it is another kernel.
  await rm(path);
  await copyFile(join(guest, "vmlinux"), path);
  await destroy(await small("kernel-3", { libkrunfwPath: path }));
  assert.deepEqual(await kindsOf(home), [...before, "machine", "machine"].sort());
});
