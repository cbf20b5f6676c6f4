import assert from "node:assert/strict";
import { copyFile, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { run } from "../../../guest/tools.ts";
import { importDirectory } from "../../../src/image/import/directory.ts";
import { defaultImportLimits } from "../../../src/image/import/limits.ts";
import { BootStartError, InvalidConfigError, Sandbox } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { assertClean, busyboxTree, convert, diskOf, emptyDisk, output } from "./root-support.ts";
import { metricsOfGuest, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disks"];

const home = useTemporaryHome();
const at = (name: string): string => join(home, name);

before(async () => {
  await busyboxTree(at("tree"));
  await diskOf(at("tree"), at("ext4.raw"), "ext4");
});

async function boot(name: string, image: string): Promise<Sandbox> {
  return await Sandbox.builder(name).image(image).memory(256).create();
}

async function failure(name: string, image: string, fsType?: string): Promise<unknown> {
  const format = image.endsWith(".qcow2") ? "qcow2" : "raw";
  const fstype = fsType === undefined ? {} : { fstype: fsType };
  const builder = Sandbox.builder(name).image({ kind: "disk", path: image, format, ...fstype });
  return await builder
    .memory(256)
    .create()
    .then(
      async (sandbox) => {
        await sandbox.kill();
        return null;
      },
      (error: unknown) => error,
    );
}

/** Boots, writes, boots again and finds it. */
async function keepsWhatIsWritten(name: string, image: string, type: RegExp): Promise<void> {
  const first = await boot(name, image);
  assert.match(await output(first, "df -T / | awk 'END { print $2 }'"), type);
  await output(first, "echo kept > /kept; cat /etc/hostname");
  const { upperUsedBytes, upperFreeBytes } = await metricsOfGuest(first);
  assert.deepEqual([upperUsedBytes, upperFreeBytes], [null, null]);
  await first.stop();
  const second = await Sandbox.start(name);
  assert.equal(await output(second, "cat /kept /etc/hostname"), `kept\n${name}`);
  await second.stop();
  assert.equal(await stat(join(home, "sandboxes", name, "upper.img")).catch(() => null), null);
}

test("a raw disk is written in place, and is clean after a stop", async () => {
  const disk = at("written.raw");
  await copyFile(at("ext4.raw"), disk);
  await keepsWhatIsWritten("raw", disk, /^ext4$/);
  assert.equal((await run("debugfs", ["-R", "cat /kept", disk])).toString(), "kept\n");
  // The agent's own files are in memory: the disk has the image's, or empty ones where it had none.
  const hostname = await readFile(at("tree/etc/hostname"), "utf8");
  assert.equal((await run("debugfs", ["-R", "cat /etc/hostname", disk])).toString(), hostname);
  await assertClean(disk);
});

for (const format of ["qcow2", "vmdk"] as const) {
  test(`a ${format} disk is written in place`, async () => {
    const disk = await convert(at("ext4.raw"), at(`written.${format}`), format);
    await keepsWhatIsWritten(format, disk, /^ext4$/);
    await convertBack(disk, format);
    assert.equal((await run("debugfs", ["-R", "cat /kept", at("back.raw")])).toString(), "kept\n");
  });
}

test("msb run without a name keeps what was written to the disk", async () => {
  const disk = at("run.raw");
  await copyFile(at("ext4.raw"), disk);
  await using msb = new MsbHome();
  const script = "echo kept > /kept; dd if=/dev/zero of=/large bs=1M count=5 2>/dev/null";
  const ran = await msb.msb("run", disk, "--", "sh", "-c", script);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(await msb.names(), []);
  assert.equal((await run("debugfs", ["-R", "cat /kept", disk])).toString(), "kept\n");
  await assertClean(disk);
});

async function convertBack(disk: string, format: string): Promise<void> {
  await run("qemu-img", ["convert", "-f", format, "-O", "raw", disk, at("back.raw")]);
}

test("one sandbox at a time has a disk", async () => {
  await convert(at("ext4.raw"), at("locked.qcow2"), "qcow2");
  const first = await boot("first", at("locked.qcow2"));
  const error = await failure("second", at("locked.qcow2"));
  assert.ok(error instanceof InvalidConfigError, String(error));
  assert.match(error.message, /locked\.qcow2 is in use/);
  assert.notEqual(error.hint, "");
  assert.equal(await output(first, "echo still here"), "still here");
  await first.stop();
  const second = await boot("third", at("locked.qcow2"));
  await second.stop();
});

test("the file system is found without being named", async () => {
  await diskOf(at("tree"), at("ext2.raw"), "ext2");
  const old = await boot("old", at("ext2.raw"));
  assert.equal(await output(old, "touch /new && df -T / | awk 'END { print $2 }'"), "ext4");
  await old.stop();
  // What cannot be written gets the mount points that it does not have from memory, and stays read-only.
  await busyboxTree(at("read-only"));
  await rm(at("read-only/proc"), { recursive: true, force: true });
  const owner = (): { uid: number; gid: number } => ({ uid: 0, gid: 0 });
  await importDirectory(at("read-only"), at("erofs.raw"), defaultImportLimits, { owner, seconds: 0 });
  const sandbox = await boot("read-only", at("erofs.raw"));
  assert.match(
    await output(sandbox, "df -T / | awk 'END { print $2 }'; touch /new 2>&1; true"),
    /^overlay\n.*Read-only/,
  );
  assert.equal(await output(sandbox, "cat /etc/hostname; echo x > /tmp/x; cat /tmp/x"), "read-only\nx");
  await sandbox.stop();
});

test("a disk without a file system, of another type than named, or with partitions is told apart", async () => {
  const empty = await failure("empty", await emptyDisk(at("empty.raw"), 4));
  assert.ok(empty instanceof BootStartError, String(empty));
  assert.equal(empty.stage, "mount");
  assert.match(empty.message, /no file system that this kernel knows \(tried ext4, /);

  const other = await failure("other", at("ext4.raw"), "erofs");
  assert.ok(other instanceof BootStartError && other.stage === "mount", String(other));
  assert.match(other.message, /root disk as erofs/);

  const divided = await emptyDisk(at("divided.raw"), 4);
  const file = await open(divided, "r+");
  // A partition of Linux's from sector 2048 on, 2048 sectors long, and the mark of a partition table.
  await file.write(Buffer.from([0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]), 0, 16, 446);
  await file.write(Buffer.from([0x55, 0xaa]), 0, 2, 510);
  await file.close();
  const partitions = await failure("divided", divided);
  assert.ok(partitions instanceof BootStartError, String(partitions));
  assert.match(partitions.message, /divided into partitions/);
});

test("an image that names a file of the host is refused before QEMU opens it", async () => {
  await run("qemu-img", [
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    "/etc/passwd",
    "-F",
    "raw",
    at("hostile.qcow2"),
    "1M",
  ]);
  const error = await failure("hostile", at("hostile.qcow2"));
  assert.ok(error instanceof InvalidConfigError, String(error));
  assert.match(error.message, /backing file/);
});

test("a root in which the kernel's file systems have no place is refused, and the start says which", async () => {
  const tree = await busyboxTree(at("tree-without-proc"));
  await rm(join(tree, "proc"), { recursive: true, force: true });
  await writeFile(join(tree, "proc"), "");
  const error = await failure("no-proc", await diskOf(tree, at("no-proc.raw"), "ext4"));
  assert.ok(error instanceof InvalidConfigError, String(error));
  // Not that the guest closed the connection, as it did next.
  assert.match(error.message, /no-proc\.raw has no directory to mount on: \/proc: /);
  assert.match(error.hint, /Make it there/);
});
