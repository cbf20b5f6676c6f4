import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { InvalidConfigError } from "../../errors/index.ts";
import { checkDiskImage } from "./disk-image.ts";
import type { Disk } from "../types.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "disk-image-"));
});
after(() => rm(directory, { recursive: true, force: true }));

async function create(name: string, ...options: string[]): Promise<string> {
  const path = join(directory, name);
  const size = options.includes("-b") ? [] : ["64M"];
  await promisify(execFile)("qemu-img", ["create", "-q", ...options, path, ...size]);
  return path;
}

async function patch(path: string, at: number, bytes: Buffer): Promise<string> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, at);
  } finally {
    await file.close();
  }
  return path;
}

async function assertRefused(path: string, format: Disk["format"], why: RegExp): Promise<void> {
  await assert.rejects(checkDiskImage(path, format), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, why);
    assert.notEqual(error.hint, "");
    return true;
  });
}

test("an image that this user may not write is refused before QEMU is started with it", async () => {
  const path = await create("kept.raw", "-f", "raw");
  await chmod(directory, 0o755);
  await chmod(path, 0o444);
  // Root may write to everything.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    await assertRefused(path, "raw", /cannot be read and written by this user/);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("images that stand alone are accepted, whatever made them", async () => {
  await checkDiskImage(await create("a.raw", "-f", "raw"), "raw");
  await checkDiskImage(await create("v2.qcow2", "-f", "qcow2", "-o", "compat=0.10"), "qcow2");
  await checkDiskImage(await create("v3.qcow2", "-f", "qcow2"), "qcow2");
  await checkDiskImage(await create("lazy.qcow2", "-f", "qcow2", "-o", "lazy_refcounts=on"), "qcow2");
  await checkDiskImage(
    await create("fine.qcow2", "-f", "qcow2", "-o", "extended_l2=on,compression_type=zstd,cluster_size=2M"),
    "qcow2",
  );
  await checkDiskImage(await create("a.vmdk", "-f", "vmdk"), "vmdk");
});

test("a qcow2 image that refers to another file is refused", async () => {
  const base = await create("base.raw", "-f", "raw");
  const backed = await create("backed.qcow2", "-f", "qcow2", "-b", base, "-F", "raw");
  await assertRefused(backed, "qcow2", /backing file/);
  const old = await create("old.qcow2", "-f", "qcow2", "-o", "compat=0.10", "-b", base, "-F", "raw");
  await assertRefused(old, "qcow2", /backing file/);
  const data = join(directory, "data.raw");
  const external = await create("external.qcow2", "-f", "qcow2", "-o", `data_file=${data}`);
  await assertRefused(external, "qcow2", /another file/);
  // The same without the bit that says so.
  await assertRefused(await patch(external, 72, Buffer.alloc(8)), "qcow2", /another file/);
});

test("a qcow2 image that is encrypted, from the future or broken is refused", async () => {
  const make = (name: string): Promise<string> => create(name, "-f", "qcow2");
  const encrypted = await patch(await make("e.qcow2"), 32, Buffer.from([0, 0, 0, 1]));
  await assertRefused(encrypted, "qcow2", /encrypted/);
  const future = await patch(await make("f.qcow2"), 72, Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]));
  await assertRefused(future, "qcow2", /features/);
  const version = await patch(await make("v.qcow2"), 4, Buffer.from([0, 0, 0, 9]));
  await assertRefused(version, "qcow2", /no qcow2/);
  const clusters = await patch(await make("c.qcow2"), 20, Buffer.from([0xff, 0, 0, 0]));
  await assertRefused(clusters, "qcow2", /damaged/);
  await assertRefused(await create("raw.qcow2", "-f", "raw"), "qcow2", /no qcow2/);
});

test("a VMDK image that refers to another file is refused", async () => {
  const flat = await create("flat.vmdk", "-f", "vmdk", "-o", "subformat=monolithicFlat");
  await assertRefused(flat, "vmdk", /other files/);
  const parent = await create("parent.vmdk", "-f", "vmdk");
  const child = await create("child.vmdk", "-f", "vmdk", "-b", parent, "-F", "vmdk");
  await assertRefused(child, "vmdk", /parent/);
  // QEMU takes the descriptor of an image without a capacity for a list of files.
  await assertRefused(await patch(parent, 12, Buffer.alloc(8)), "vmdk", /other files/);
  const stream = await create("stream.vmdk", "-f", "vmdk", "-o", "subformat=streamOptimized");
  await assertRefused(stream, "vmdk", /compressed/);
  await assertRefused(await create("raw.vmdk", "-f", "raw"), "vmdk", /no sparse VMDK/);
});

test("what is no file is refused", async () => {
  await assertRefused(join(directory, "missing.raw"), "raw", /there is no disk image/);
  const inside = join(directory, "directory.raw");
  await mkdir(inside);
  await assertRefused(inside, "raw", /no regular file/);
  const empty = join(directory, "empty.raw");
  await writeFile(empty, "");
  await assertRefused(empty, "raw", /empty/);
});
