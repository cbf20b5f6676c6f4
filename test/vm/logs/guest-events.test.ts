import assert from "node:assert/strict";
import { test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { timeout } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import { runtimeLog } from "../templates/template-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// What the guest tells on a stream that it has opened itself.
const home = useTemporaryHome();

test("a command that is killed for want of memory leaves a word in runtime.log", { timeout }, async () => {
  await using sandbox = await Sandbox.builder("hungry").image("localhost/base").memory(128).create();
  // A kill that has nothing to do with memory is none.
  await sandbox.shell("kill -9 $$").catch(() => undefined);
  assert.doesNotMatch(await runtimeLog(home, "hungry"), /memory ran out/);
  // tail keeps the last line, and this one has no end.
  const { code } = await sandbox.shell("tail -n 1 /dev/zero");
  assert.notEqual(code, 0);
  await eventually("the word", async () =>
    /WARN {2}memory ran out in the guest: .* killed [1-9]/.test(await runtimeLog(home, "hungry"))
      ? true
      : null,
  );
});

test("an end that was asked for inside is known to be one", { timeout }, async () => {
  const sandbox = await Sandbox.builder("inside")
    .image("localhost/base")
    .memory(128)
    .logLevel("info")
    .create();
  await sandbox.shell("poweroff").catch(() => undefined);
  assert.equal((await sandbox.waitUntilStopped()).status, "stopped");
  assert.match(await runtimeLog(home, "inside"), /INFO {2}the guest is shut down from inside/);
});
