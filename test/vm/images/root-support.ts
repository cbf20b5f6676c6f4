import assert from "node:assert/strict";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../guest/tools.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import type { Sandbox } from "../../../src/index.ts";

/** The embedded image as a directory of the host's: BusyBox and what belongs to it. */
export async function busyboxTree(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  await run("fsck.erofs", [`--extract=${path}`, "--overwrite", join(guestDirectory(), "base.erofs")]);
  return path;
}

/** A raw disk with a file system that holds a directory's content. */
export async function diskOf(
  tree: string,
  path: string,
  type: "ext2" | "ext4",
  sizeMib = 64,
): Promise<string> {
  await run("mke2fs", ["-q", "-F", "-t", type, "-d", tree, path, `${sizeMib}M`]);
  return path;
}

/** The same disk in another format. */
export async function convert(source: string, target: string, format: "qcow2" | "vmdk"): Promise<string> {
  await run("qemu-img", ["convert", "-f", "raw", "-O", format, source, target]);
  return target;
}

/** A sparse file with no file system in it. */
export async function emptyDisk(path: string, sizeMib: number): Promise<string> {
  const file = await open(path, "wx");
  try {
    await file.truncate(sizeMib * 1024 * 1024);
  } finally {
    await file.close();
  }
  return path;
}

/** Fails unless an ext file system is whole and was unmounted: nothing waits in its journal. */
export async function assertClean(disk: string): Promise<void> {
  await run("e2fsck", ["-fn", disk]);
  const about = (await run("dumpe2fs", ["-h", disk])).toString();
  assert.match(about, /^Filesystem state: +clean$/m);
  assert.doesNotMatch(about, /needs_recovery/);
}

/** Standard output of a command that must succeed, without the last newline. */
export async function output(sandbox: Sandbox, script: string): Promise<string> {
  const result = await sandbox.shell(script);
  if (result.code !== 0) throw new Error(`${script} ended with ${result.code}: ${result.stderr()}`);
  return result.stdout().trimEnd();
}
