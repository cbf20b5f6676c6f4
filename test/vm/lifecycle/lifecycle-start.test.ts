import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { isUnlocked } from "../../../src/host/locks/lock.ts";
import { smallMemory } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// Starts that meet stops and kills.
const home = useTemporaryHome();
const name = "starting";
let sandbox: Sandbox;

before(async () => {
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(smallMemory).createDetached();
  await sandbox.stop();
});
after(() => sandbox.kill());

test("a stop counts for a start that has only just begun", async () => {
  const starting = Sandbox.startDetached(name);
  starting.catch(() => undefined);
  // The supervisor takes a while until it says that it starts; the lock is taken before.
  await eventually("the lock to be taken", async () =>
    (await isUnlocked(join(home, "sandboxes", name, "lock"))) ? null : true,
  );
  await (await Sandbox.get(name)).stop();
  assert.equal((await Sandbox.get(name)).status, "stopped");
  await assert.rejects(starting);
});

test("a start right after a stop or a kill is left alone by them", async () => {
  for (let n = 0; n < 3; n++) {
    sandbox = await Sandbox.startDetached(name);
    // Of a stopped sandbox too: looking at its lock must not be taken for somebody who starts it.
    await sandbox.kill();
    await Promise.all([sandbox.stop(), sandbox.kill(), (await Sandbox.get(name)).stop()]);
  }
  sandbox = await Sandbox.startDetached(name);
  assert.equal((await sandbox.exec("echo", ["here"])).stdout(), "here\n");
});
