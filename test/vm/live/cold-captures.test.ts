import assert from "node:assert/strict";
import { test } from "node:test";
import { Sandbox, Snapshot } from "../../../src/index.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["cold"];

// The memory of a machine that has booted is a file that it writes to itself, not one's own pages over a template's.
useTemporaryHome();

test("a booted guest is copied, suspended, kept and gone back to", { timeout }, async () => {
  const parent = await Sandbox.builder("booted").image("localhost/base").memory(smallMemory).createDetached();
  await parent.shell("head -c 6000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum");
  await parent.shell("echo before > /root/note; sleep 1000 > /dev/null 2>&1 & echo $! > /tmp/pid");
  const goesOn = "md5sum -c /dev/shm/sum && kill -0 $(cat /tmp/pid) && cat /root/note";
  const child = await parent.fork("copied");
  await parent.suspend();
  const again = await Sandbox.startDetached("booted");
  for (const sandbox of [child, again]) {
    assert.equal(sandbox.startReport?.route, "continued");
    const found = await sandbox.shell(goesOn);
    assert.equal(found.code, 0);
    assert.match(found.stdout(), /before/);
  }
  const checkpoint = await again.checkpoint();
  await again.shell("echo after > /root/note; rm /dev/shm/bytes; kill $(cat /tmp/pid)");
  await again.rollback(checkpoint);
  assert.match((await again.shell(goesOn)).stdout(), /before/);
  await Snapshot.builder("booted-kept").fromSandbox(again).full().create();
  const restored = await Sandbox.restore("booted-kept").name("restored").restore();
  assert.match((await restored.shell(goesOn)).stdout(), /before/);
  await restored.destroy();
  await again.shell("echo parent > /root/note");
  const grandchild = await child.fork("copied-again");
  await child.destroy();
  assert.match((await grandchild.shell(goesOn)).stdout(), /before/);
  await grandchild.destroy();
  await again.destroy();
});
