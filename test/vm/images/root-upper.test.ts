import assert from "node:assert/strict";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { assertClean, output } from "./root-support.ts";
import { metricsOfGuest, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disks"];

const home = useTemporaryHome();
const upperOf = (name: string): string => join(home, "sandboxes", name, "upper.img");
const sizeMib = "df -m / | awk 'END { print $2 }'";
const inodes = "df -i / | awk 'END { print $2 }'";

for (const { wanted, least, leastInodes } of [
  { wanted: 8192, least: 7900, leastInodes: 500_000 },
  { wanted: 100, least: 88, leastInodes: 8192 },
  { wanted: 1000, least: 950, leastInodes: 60_000 },
]) {
  test(`a root disk of ${wanted} MiB has that size, and still has it at the next start`, async () => {
    const name = `sized-${wanted}`;
    const first = await Sandbox.builder(name).image("localhost/base").rootDisk(wanted).memory(256).create();
    const size = Number(await output(first, sizeMib));
    assert.ok(size > least && size <= wanted, String(size));
    assert.ok(Number(await output(first, inodes)) >= leastInodes);
    await output(
      first,
      "echo kept > /kept; dd if=/dev/zero of=/filled bs=1M count=60 2>/dev/null; rm /filled",
    );
    await first.stop();
    const upper = await stat(upperOf(name));
    assert.equal(upper.size, wanted * 1024 * 1024);
    // Sparse: what was removed and what was never used takes no room.
    assert.ok(upper.blocks * 512 < 64 * 1024 * 1024, String(upper.blocks * 512));
    await assertClean(upperOf(name));
    const second = await Sandbox.start(name);
    assert.equal(await output(second, `cat /kept; ${sizeMib}`), `kept\n${size}`);
    await second.stop();
  });
}

test("a guest that fills its small disk gets an error, and goes on", async () => {
  await using sandbox = await Sandbox.builder("full")
    .image("localhost/base")
    .rootDisk(32)
    .memory(256)
    .create();
  const filling = await sandbox.shell("dd if=/dev/zero of=/fill bs=1M count=64");
  assert.notEqual(filling.code, 0);
  assert.match(filling.stderr(), /No space left/);
  assert.equal(await output(sandbox, "rm /fill && echo more > /more && cat /more"), "more");
});

test("an upper in memory has its size, writes no file on the host and is lost at the stop", async () => {
  const sandbox = await Sandbox.builder("memory")
    .image("localhost/base")
    .rootDisk((disk) => disk.tmpfs().size(64))
    .memory(256)
    .create();
  assert.equal(await output(sandbox, sizeMib), "64");
  const { upperFreeBytes, upperHostAllocatedBytes } = await metricsOfGuest(sandbox);
  assert.ok(upperFreeBytes !== null && upperFreeBytes <= 64 * 1024 * 1024, String(upperFreeBytes));
  assert.equal(upperHostAllocatedBytes, null);
  await output(sandbox, "echo here > /etc/written; rm /usr/bin/cal; cat /etc/written");
  await sandbox.stop();
  assert.equal(await stat(upperOf("memory")).catch(() => null), null);
  const again = await Sandbox.start("memory");
  assert.equal(
    await output(again, "ls /etc/written 2>/dev/null || echo gone; ls /usr/bin/cal"),
    "gone\n/usr/bin/cal",
  );
  await again.stop();
});

test("an upper in memory has half of the memory when no size is given", async () => {
  await using sandbox = await Sandbox.builder("half")
    .image("localhost/base")
    .rootDisk((disk) => disk.tmpfs())
    .memory(256)
    .create();
  assert.equal(await output(sandbox, sizeMib), "128");
});

test("an image's upper is as config.json says, where the sandbox does not", async () => {
  const file = join(home, "config.json");
  await writeFile(
    file,
    JSON.stringify({ sandbox_defaults: { oci: { root_disk: { kind: "tmpfs", size_mib: 48 } } } }),
  );
  try {
    await using sandbox = await Sandbox.builder("configured").image("localhost/base").memory(256).create();
    assert.equal(await output(sandbox, sizeMib), "48");
    assert.deepEqual(sandbox.config.rootDisk, { kind: "tmpfs", sizeMib: 48 });
  } finally {
    await rm(file);
  }
});
