import assert from "node:assert/strict";
import { test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { processesGone, processesOf, runProgram, smallMemory } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "alone"];

// Twenty machines at once is many for software emulation on a small host, and a promise of ours.
const home = useTemporaryHome();
const programCount = 4;
const perProgram = 5;
const timeout = 800_000;
/** How long twenty boots take side by side is the host's affair. One that never ends is told, with what its guest has said. */
const bootMs = timeout / 2;

test("20 sandboxes created at once by 4 programs all run and answer", { timeout }, async (t) => {
  const programs = Array.from({ length: programCount }, (_, program) =>
    runProgram(
      t,
      `process.env.MSB_BOOT_TIMEOUT_MS = "${bootMs}";
       const all = await Promise.all(
         Array.from({ length: ${perProgram} }, async (_, n) => {
           const name = "crowd-${program}-" + n;
           const sandbox = await Sandbox.create({ name, image: "localhost/base", memoryMib: ${smallMemory} });
           const output = await sandbox.exec("hostname");
           return { name, said: output.stdout().trim() };
         }),
       );
       say(all);
       // Goes on owning them until it is told to end.
       setInterval(() => undefined, 1000);`,
    ),
  );
  const begun = performance.now();
  const answers = await Promise.all(
    programs.map(async (program) => JSON.parse(await program.line()) as { name: string; said: string }[]),
  );
  t.diagnostic(`all had answered after ${Math.round(performance.now() - begun)} ms`);
  const names = answers.flat().map(({ name }) => name);
  assert.equal(new Set(names).size, programCount * perProgram);
  for (const { name, said } of answers.flat()) assert.equal(said, name);

  const listed = await Sandbox.list();
  assert.deepEqual(
    listed.map(({ name, status }) => `${name} ${status}`).sort(),
    names.map((name) => `${name} running`).sort(),
  );
  const pings = await Promise.all(listed.map((handle) => handle.ping()));
  assert.deepEqual(pings.map(({ name }) => name).sort(), [...names].sort());
  assert.equal((await processesOf(home)).length, 2 * programCount * perProgram);

  // And all end with their owners.
  for (const program of programs) program.kill();
  const results = await Promise.all(listed.map((handle) => handle.waitUntilStopped()));
  assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(["stopped"]));
  await processesGone(home);
  await Promise.all(listed.map((handle) => handle.remove()));
  assert.deepEqual([...(await Sandbox.list())], []);
});
