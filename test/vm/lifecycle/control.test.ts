import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { InvalidConfigError, Sandbox } from "../../../src/index.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();
const name = "control";
let sandbox: Sandbox;

before(async () => {
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(256).createDetached();
});
after(() => sandbox.kill());

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
  await printed(deaf);
  const begun = performance.now();
  const patient = sandbox.stopWithTimeout(600_000);
  await sandbox.stopWithTimeout(2_000);
  await patient;
  assert.ok(performance.now() - begun < 60_000);
  assert.equal((await Sandbox.get(name)).status, "stopped");
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
