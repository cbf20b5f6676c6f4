import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import type { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { Sandbox } from "../../src/index.ts";
import { planHeadStart } from "../../src/start/prelaunch/head-start.ts";
import type { HeadStart } from "../../src/start/prelaunch/head-start-format.ts";
import { createSandbox, findSandbox, newSandboxId, sandboxPaths } from "../../src/store/sandboxes.ts";
import { locateHome } from "../../src/store/home.ts";
import { supervisorProgram } from "../../src/host/package-files.ts";
import { processesGone, processesOf, timeout } from "./lifecycle-support.ts";
import { output } from "./root-support.ts";
import { eventually, useTemporaryHome } from "./support.ts";
import type { Needs } from "./tags.ts";
import { destroy, runtimeLog, small, templateOf } from "./template-support.ts";

export const needs: Needs = ["template"];

// QEMU comes up beside its supervisor, as whoever starts that one has found out. Else the supervisor finds out for itself.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
/** What a supervisor notes when it finds out for itself. */
const foundOut = /starting with [a-z]+: /;
const restored = /started from the (image|machine) template/;

before(async () => {
  await destroy(await small("maker"));
});
after(() => processesGone(home));

test("a sandbox that is created, and one that starts again", { timeout }, async () => {
  const sandbox = await small("ahead", { logLevel: "debug" });
  assert.equal(await output(sandbox, "echo kept > /root/kept; hostname"), "ahead");
  await sandbox.stop();
  const again = await Sandbox.start("ahead");
  const log = await runtimeLog(home, "ahead");
  assert.equal(log.match(new RegExp(restored, "g"))?.length, 2, log);
  assert.doesNotMatch(log, foundOut);
  assert.equal((await processesOf(home, "ahead")).length, 2);
  assert.equal(await output(again, "cat /root/kept"), "kept");
  await destroy(again);
});

/** Creates a sandbox as the SDK does, and tells its supervisor what `say` makes of the plan. */
async function createTelling(
  name: string,
  say: (plan: HeadStart) => Promise<string> | string,
): Promise<void> {
  const place = locateHome();
  const model = (await findSandbox(place, "model")).record;
  const createdAt = new Date().toISOString();
  const config = { ...model.config, hostname: name };
  const record = { ...model, name, config, id: newSandboxId(), createdAt };
  const lock = await createSandbox(place, record);
  const paths = sandboxPaths(place, name);
  await using log = await open(paths.runtimeLog, "a", 0o600);
  const child = spawn(process.execPath, [supervisorProgram(), name, "detached"], {
    detached: true,
    cwd: paths.directory,
    stdio: ["ignore", "ignore", log.fd, "pipe", lock.fd, "pipe"],
  });
  await once(child, "spawn");
  await lock.release();
  const plan = await planHeadStart({ home: place, record, paths }, child.pid ?? 0);
  ((child.stdio as unknown[])[5] as Writable).end(plan === null ? "" : await say(plan));
  assert.ok(plan !== null);
  child.unref();
}

async function running(name: string): Promise<Sandbox> {
  return await eventually(`${name} to run`, async () => {
    const handle = await Sandbox.get(name);
    assert.ok(handle.status !== "stopped" && handle.status !== "crashed", await runtimeLog(home, name));
    return handle.status === "running" ? await handle.connect() : null;
  });
}

/** What is said to the supervisor, and what it notes. */
const told: Record<string, [say: (plan: HeadStart) => string, notes: RegExp[]]> = {
  "what is right": [(plan) => JSON.stringify(plan), [restored]],
  nothing: [() => "", [foundOut, restored]],
  "half of it": [(plan) => JSON.stringify(plan).slice(0, 500), [foundOut, restored]],
  "what another version would say": [
    (plan) => JSON.stringify({ ...plan, protocolVersion: 0 }),
    [foundOut, restored],
  ],
  "a template that was replaced meanwhile": [
    (plan) => JSON.stringify({ ...plan, template: { ...plan.template, inode: "1" } }),
    [foundOut, /it was removed while it was restored/],
  ],
  "a QEMU that ends at once": [
    (plan) => JSON.stringify({ ...plan, command: ["/bin/false"] }),
    [foundOut, /dropped the template [0-9a-f]{64}: QEMU exited with code 1/],
  ],
};

test("whatever a supervisor is told, its sandbox runs", { timeout }, async (t) => {
  const model = await small("model", { logLevel: "debug" });
  t.after(() => destroy(model));
  const { directory } = await templateOf(home, "image");
  let count = 0;
  for (const [what, [say, notes]] of Object.entries(told)) {
    await t.test(what, async () => {
      assert.ok(existsSync(directory));
      const name = `told-${++count}`;
      await createTelling(name, say);
      const sandbox = await running(name);
      const log = await runtimeLog(home, name);
      for (const note of notes) assert.match(log, note);
      if (!notes.includes(foundOut)) assert.doesNotMatch(log, foundOut);
      assert.equal(await output(sandbox, "echo works > /root/it; cat /root/it; hostname"), `works\n${name}`);
      assert.equal((await processesOf(home, name)).length, 2);
      await destroy(sandbox);
    });
  }
  assert.ok(!existsSync(directory), "one that did not work is not used again");
});

test("a template that goes while it is planned", { timeout }, async (t) => {
  await destroy(await small("maker"));
  const model = await small("model", { logLevel: "debug" });
  t.after(() => destroy(model));
  const { directory } = await templateOf(home, "image");
  await createTelling("gone", async (plan) => {
    await rename(directory, `${directory.slice(0, -64)}.removed-by-test`);
    return JSON.stringify(plan);
  });
  const sandbox = await running("gone");
  assert.equal(await output(sandbox, "echo works > /root/it; cat /root/it; hostname"), "works\ngone");
  await destroy(sandbox);
});
