import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { holdDisk } from "./disk-use.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-hold-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});
const disk = join(directory, "disk.raw");
writeFileSync(disk, "content");

const isInUse = (error: unknown): boolean => {
  assert.ok(error instanceof InvalidConfigError, String(error));
  assert.match(error.message, /is in use/);
  assert.notEqual(error.hint, "");
  return true;
};

test("several read a disk, one writes it, by whatever name", async () => {
  const second = join(directory, "second.raw");
  linkSync(disk, second);
  const readers = [await holdDisk(disk, true), await holdDisk(second, true)];
  await assert.rejects(holdDisk(disk, false), isInUse);
  for (const reader of readers) await reader.release();
  const writer = await holdDisk(second, false);
  await assert.rejects(holdDisk(disk, true), isInUse);
  await assert.rejects(holdDisk(disk, false), isInUse);
  await writer.release();
  await (await holdDisk(disk, false)).release();
});

test("a disk is let go when whoever holds it is killed", async () => {
  const module = new URL("./disk-use.ts", import.meta.url).href;
  const script = `const { holdDisk } = await import(${JSON.stringify(module)}); globalThis.held = await holdDisk(process.argv[1], false); console.log("held"); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script, disk], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  await assert.rejects(holdDisk(disk, true), isInUse);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  await (await holdDisk(disk, false)).release();
});

test("QEMU's own locks are elsewhere", async () => {
  const { tryLockExisting } = await import("../../host/locks/range-lock.ts");
  const qemu = await tryLockExisting(disk, "exclusive", { offset: 100, length: 200 });
  assert.ok(typeof qemu === "object");
  await (await holdDisk(disk, false)).release();
  await qemu.release();
});

test("what is not there, and what may not be written, is told", async () => {
  await assert.rejects(holdDisk(join(directory, "nothing.raw"), true), /there is no disk image/);
  const locked = join(directory, "locked.raw");
  writeFileSync(locked, "x");
  chmodSync(locked, 0o400);
  // Root may write anyway.
  if (process.getuid?.() === 0) await (await holdDisk(locked, false)).release();
  else await assert.rejects(holdDisk(locked, false), /cannot be read and written by this user/);
  await (await holdDisk(locked, true)).release();
});
