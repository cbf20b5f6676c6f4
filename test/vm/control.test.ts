import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InvalidConfigError, Sandbox } from "../../src/index.ts";
import { identifyProcess } from "../../src/host/process-identity.ts";
import { isUnlocked } from "../../src/host/lock.ts";
import { eventually, useTemporaryHome } from "./support.ts";
import type { Needs } from "./tags.ts";

export const needs: Needs = ["boots"];

const home = useTemporaryHome();
const name = "control";
let sandbox: Sandbox;

before(async () => {
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(256).createDetached();
});
after(() => sandbox.kill());

async function supervisorPid(): Promise<number> {
  const state = JSON.parse(await readFile(join(home, "sandboxes", name, "state.json"), "utf8")) as {
    supervisor: { pid: number };
  };
  return state.supervisor.pid;
}

test("looking a sandbox up, or connecting to it, 400 times uses up no places for clients", async () => {
  for (let n = 0; n < 200; n++) await (await Sandbox.get(name)).ping();
  for (let n = 0; n < 200; n++) {
    await using connected = await (await Sandbox.get(name)).connect();
    await connected.ping();
  }
});

test("a stream that is disposed of with unread output ends: the sandbox can drain", async () => {
  {
    await using flood = await sandbox.execStream("yes");
    assert.equal((await flood.recv())?.kind, "started");
    assert.equal((await flood.recv())?.kind, "stdout");
  }
  await sandbox.drain();
  assert.deepEqual(await sandbox.wait(), { code: 0, success: true });
  sandbox = await Sandbox.startDetached(name);
});

test("of several stops the shortest counts", async () => {
  const deaf = await sandbox.shellStream("trap '' TERM; echo ready; while :; do sleep 1; done");
  for await (const event of deaf) if (event.kind === "stdout") break;
  const begun = performance.now();
  const patient = sandbox.stopWithTimeout(600_000);
  await sandbox.stopWithTimeout(2_000);
  await patient;
  assert.ok(performance.now() - begun < 60_000);
  assert.equal((await Sandbox.get(name)).status, "stopped");
  sandbox = await Sandbox.startDetached(name);
});

test("a supervisor that hangs is killed with its machine", async () => {
  const pid = await supervisorPid();
  process.kill(pid, "SIGSTOP");
  await sandbox.kill();
  assert.notEqual((await Sandbox.get(name)).status, "running");
  assert.equal(await identifyProcess(pid), null);
  sandbox = await Sandbox.startDetached(name);
});

test("a kill with no time to wait ends in a stopped sandbox", async () => {
  await sandbox.killWithTimeout(0);
  assert.equal((await sandbox.waitUntilStopped()).status, "stopped");
  sandbox = await Sandbox.startDetached(name);
});

test("a grace longer than a timer can be is a long one, and one that is no time is refused", async () => {
  for (const wrong of [-1, Number.NaN])
    await assert.rejects(sandbox.stopWithTimeout(wrong), InvalidConfigError);
  await sandbox.stopWithTimeout(2 ** 33);
  assert.equal((await Sandbox.get(name)).status, "stopped");
});

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
