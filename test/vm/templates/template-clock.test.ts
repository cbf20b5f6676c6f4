import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { test } from "node:test";
import { processCpuTimeNs } from "../../../src/host/process/process-usage.ts";
import { buildProbe, installProbe, readClock } from "../machine/guest-probe.ts";
import { processOf, processesGone, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, kindsOf, runtimeLog, small, templatesOf } from "./template-support.ts";

export const needs: Needs = ["template", "clock", "rust", "alone"];

// What passes between the making of a template and its use, and what passes afterwards.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const api = pathToFileURL(new URL("../../../src/index.ts", import.meta.url).pathname).href;
const dayMs = 24 * 60 * 60 * 1000;
/** How long the processor time of idle guests is watched at a time, and in what steps it is told (proc_pid_stat(5)). */
const windowMs = 5000;
const tickMs = 10;

/** Creates and kills a sandbox in processes whose clock is wrong. */
async function createAtAnotherTime(name: string, offset: string, memoryMib: number): Promise<void> {
  const source = `
    import { Sandbox } from ${JSON.stringify(api)};
    const options = { name: ${JSON.stringify(name)}, image: "localhost/base", memoryMib: ${memoryMib}, logLevel: "info" };
    const sandbox = await Sandbox.create(options);
    const { stdout } = await sandbox.exec("date", ["+%s"]);
    await sandbox.kill();`;
  const child = spawn("faketime", ["-f", offset, process.execPath, "--input-type=module", "--eval", source], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      // Only the time of day: timers and the times of files stay as they are.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0);
}

for (const [offset, days, memoryMib] of [
  ["-30d", -30, smallMemory],
  ["+30d", 30, smallMemory + 16],
] as const) {
  test(`a template that was made at ${offset} of now`, { timeout }, async () => {
    const before = new Set((await templatesOf(home)).map(({ key }) => key));
    const maker = `maker${days}`;
    await createAtAnotherTime(maker, offset, memoryMib);
    const made = (await templatesOf(home)).filter(({ key }) => !before.has(key));
    assert.equal(made.length, 2, await runtimeLog(home, maker));
    for (const { createdAt } of made) {
      const off = (Date.parse(createdAt) - Date.now()) / dayMs;
      assert.ok(Math.abs(off - days) < 1, `made ${off} days from now`);
    }
    const name = `user${days}`;
    const sandbox = await small(name, { memoryMib });
    assert.match(await runtimeLog(home, name), /started from the image template/);
    await installProbe(sandbox, await buildProbe());
    const { least, most, monotonicNs } = await readClock(sandbox);
    assert.ok(Math.abs((least + most) / 2) <= 50, `${least} to ${most} ms ahead`);
    assert.ok(monotonicNs > 0 && monotonicNs < 600e9, `${monotonicNs} ns since the boot`);
    // Timers are not confused by the jump either.
    assert.equal(await output(sandbox, "timeout 20 sleep 0.1 && echo slept"), "slept");
    await destroy(sandbox);
    await processesGone(home);
  });
}

test("a sandbox of a template is as idle as one that was booted", { timeout }, async () => {
  const cold = await withEnvironment({ MSB_TEMPLATES: "off" }, () => small("cold"));
  const restored = await small("restored");
  assert.ok((await kindsOf(home)).includes("image"));
  assert.doesNotMatch(await runtimeLog(home, "cold"), /from the .*template/);
  assert.match(await runtimeLog(home, "restored"), /started from the image template/);
  const pids = [await processOf(home, "cold", "qemu"), await processOf(home, "restored", "qemu")];
  const used = (): Promise<number[]> =>
    Promise.all(pids.map(async (pid) => (await processCpuTimeNs(pid)) ?? Number.NaN));
  const least = [Infinity, Infinity];
  let before = await used();
  for (let window = 0; window < 4; window++) {
    // Both over the same time, so that whatever else the host does meets both.
    await new Promise((resolve) => setTimeout(resolve, windowMs));
    const now = await used();
    for (const [index, ns] of now.entries()) {
      least[index] = Math.min(least[index] ?? NaN, (ns - (before[index] ?? NaN)) / 1e6);
    }
    before = now;
  }
  // The least: what a guest does once, such as bringing in the pages that it needs, is not what it does when it is idle.
  const [ofCold = NaN, ofRestored = NaN] = least;
  // As many ticks, but for what both ends of a window cut off.
  assert.ok(ofRestored <= ofCold + 2 * tickMs, `${ofRestored} ms after ${ofCold} ms in ${windowMs} ms`);
  await destroy(cold);
  await destroy(restored);
});
