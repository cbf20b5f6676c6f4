import assert from "node:assert/strict";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { IoError, Sandbox } from "../../../../src/index.ts";
import { leaveRoom, mountingSkip, mountSmallDisk, unmountSmallDisk } from "../../failures/small-disk.ts";
import { smallMemory, timeout } from "../../lifecycle-support.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// A disk that is full before a guest's memory is on it.
const home = useTemporaryHome();
const disk = join(home, "sandboxes");
const directory = join(disk, "short");
const skip = mountingSkip;

const leftovers = (): string[] => readdirSync(directory).filter((entry) => entry.includes("suspended"));

const occupied = (name: string): number =>
  ["memory", "state", "suspended.json"].reduce(
    (sum, file) => sum + statSync(join(disk, name, "suspended", file)).blocks * 512,
    0,
  );

async function made(name: string): Promise<Sandbox> {
  const sandbox = await Sandbox.builder(name).image("localhost/base").memory(smallMemory).createDetached();
  await sandbox.shell("head -c 30000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum");
  // A guest that has something to write to a full disk is held until there is room.
  await sandbox.shell("sync");
  return sandbox;
}

test("wherever the space ends, the guest goes on, and nothing is left", { timeout, skip }, async (t) => {
  await mountSmallDisk(disk, "size=700m");
  t.after(async () => {
    for (const handle of await Sandbox.list()) await handle.kill();
    await unmountSmallDisk(disk);
  });
  const measured = await made("measured");
  await measured.suspend();
  const whole = occupied("measured");
  await Sandbox.remove("measured");
  // Its memory is a template's, on another disk: holes of a file on a tmpfs take room where they are only looked at.
  let sandbox = await made("short");
  for (const part of [0, 0.01, 0.3, 0.6, 0.9, 0.97]) {
    await leaveRoom(disk, Math.floor(part * whole));
    const error = await sandbox.suspend().then(
      () => null,
      (cause: unknown) => cause,
    );
    rmSync(join(disk, "ballast"));
    assert.ok(error instanceof IoError, `with ${part} of the space: ${String(error)}`);
    t.diagnostic(`${part}: ${error.name}: ${error.message}`);
    assert.match(error.message, /memory.*no space/);
    assert.deepEqual(leftovers(), []);
    assert.equal((await sandbox.shell("md5sum -c /dev/shm/sum")).code, 0);
    assert.equal((await Sandbox.get("short")).status, "running");
  }
  await sandbox.suspend();
  sandbox = await Sandbox.startDetached("short");
  assert.equal(sandbox.startReport?.route, "continued");
  assert.equal((await sandbox.shell("md5sum -c /dev/shm/sum")).code, 0);
  await sandbox.stop();
});
