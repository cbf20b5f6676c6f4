import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { RuntimeError, Sandbox, SandboxNotFoundError } from "../../../src/index.ts";
import {
  builderSource,
  processesGone,
  processesOf,
  runProgram,
  smallMemory,
  timeout,
} from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// Processes killed at any moment of a start: what they leave never stands in the way.
const home = useTemporaryHome();

/** Moments of a start that takes 3.3 s, ms; of a slower one they are as much later. */
const moments = [0, 5, 10, 20, 40, 60, 80, 100, 130, 160, 200, 300, 450, 700, 1000, 1500, 2200, 3000];
const momentsOfMs = 3300;

/** How much slower than that this host is at present. */
async function slowness(): Promise<number> {
  const begun = performance.now();
  const sandbox = await Sandbox.create({ name: "measured", image: "localhost/base", memoryMib: smallMemory });
  const took = performance.now() - begun;
  await sandbox.destroy();
  return took / momentsOfMs;
}

async function nothingHeld(name: string): Promise<void> {
  await processesGone(home);
  const handle = await Sandbox.get(name).catch((error: unknown) => {
    assert.ok(error instanceof SandboxNotFoundError, String(error));
    return null;
  });
  assert.deepEqual(
    (await Sandbox.list()).map((found) => found.name),
    handle === null ? [] : [name],
  );
  if (handle !== null) {
    assert.ok(["created", "stopped", "crashed"].includes(handle.status), handle.status);
    await handle.remove();
  }
  await assert.rejects(Sandbox.get(name), SandboxNotFoundError);
}

test("the creating program, killed", { timeout }, async (t) => {
  const factor = await slowness();
  t.diagnostic(`moments times ${factor.toFixed(2)}`);
  for (const moment of moments) {
    const program = runProgram(
      t,
      `say("begin");
       await ${builderSource("cut")}.create();
       await new Promise((resolve) => setTimeout(resolve, 60_000));`,
    );
    assert.equal(await program.line(), "begin");
    await sleep(moment * factor);
    program.kill();
    await program.ended;
    await nothingHeld("cut");
  }
  // After all that, the name is as good as new.
  await using sandbox = await Sandbox.create({
    name: "cut",
    image: "localhost/base",
    memoryMib: smallMemory,
  });
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  await sandbox.destroy();
  assert.deepEqual(await readdir(join(home, "run")), []);
});

test("the starting supervisor, killed: the creator is told, QEMU is gone", { timeout }, async () => {
  const factor = await slowness();
  for (const moment of [0, 50, 150, 300, 600, 1200]) {
    const creating = Sandbox.create({ name: "orphan", image: "localhost/base", memoryMib: smallMemory });
    const outcome = creating.then(
      () => null,
      (error: unknown) => error,
    );
    const pid = await eventually("a supervisor", async () => {
      const found = (await processesOf(home, "orphan")).find(({ kind }) => kind === "supervisor");
      return found?.pid ?? null;
    });
    await sleep(moment * factor);
    process.kill(pid, "SIGKILL");
    const error = await outcome;
    // From a template it may have been started by then.
    if (moment === 0 || error !== null) {
      assert.ok(error instanceof RuntimeError, `after ${moment} ms: ${String(error)}`);
      assert.match(error.message, /SIGKILL/);
    }
    await nothingHeld("orphan");
  }
});
