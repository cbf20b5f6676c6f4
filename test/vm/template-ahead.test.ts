import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, rename } from "node:fs/promises";
import type { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { Sandbox } from "../../src/index.ts";
import { planHeadStart, type HeadStart } from "../../src/plan/index.ts";
import {
  createSandbox,
  findSandbox,
  locateHome,
  newSandboxId,
  sandboxPaths,
  supervisorProgram,
} from "../../src/store/index.ts";
import { processesGone, processesOf, timeout } from "./lifecycle-support.ts";
import { output } from "./root-support.ts";
import { eventually, useTemporaryHome } from "./support.ts";
import { destroy, runtimeLog, small, templateOf } from "./template-support.ts";

// QEMU comes up beside its supervisor. The supervisor keeps it only when it would have started just the same.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const right = "QEMU was started first";
const wrong = "the QEMU that was started first is not the right one";

before(async () => {
  await destroy(await small("maker"));
});
after(() => processesGone(home));

test("a sandbox that is created, and one that starts again", { timeout }, async () => {
  const sandbox = await small("ahead", { logLevel: "debug" });
  assert.match(await runtimeLog(home, "ahead"), new RegExp(right));
  assert.equal(await output(sandbox, "echo kept > /root/kept; hostname"), "ahead");
  await sandbox.stop();
  const again = await Sandbox.start("ahead");
  const log = await runtimeLog(home, "ahead");
  assert.equal(log.split(right).length, 3, log);
  assert.ok(!log.includes(wrong), log);
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
  assert.ok(plan !== null);
  ((child.stdio as unknown[])[5] as Writable).end(await say(plan));
  child.unref();
}

async function running(name: string): Promise<Sandbox> {
  return await eventually(`${name} to run`, async () => {
    const handle = await Sandbox.get(name);
    assert.ok(handle.status !== "stopped" && handle.status !== "crashed", await runtimeLog(home, name));
    return handle.status === "running" ? await handle.connect() : null;
  });
}

const told: Record<string, [say: (plan: HeadStart) => Promise<string> | string, log: string | null]> = {
  "what is right": [(plan) => JSON.stringify(plan), right],
  nothing: [() => "", null],
  "half of it": [(plan) => JSON.stringify(plan).slice(0, 500), null],
  "another command": [
    (plan) =>
      JSON.stringify({ ...plan, command: plan.command.map((word) => word.replace(/^guest=.*/, "guest=x")) }),
    wrong,
  ],
  "a template that was replaced meanwhile": [(plan) => JSON.stringify({ ...plan, inode: "1" }), wrong],
  "another template": [(plan) => JSON.stringify({ ...plan, key: "0".repeat(64) }), wrong],
  "a QEMU that ends at once": [(plan) => JSON.stringify({ ...plan, command: ["/bin/false"] }), wrong],
};

test("whatever a supervisor is told, its sandbox runs", { timeout }, async (t) => {
  await destroy(await small("first"));
  const model = await small("model", { logLevel: "debug" });
  t.after(() => destroy(model));
  let count = 0;
  for (const [what, [say, log]] of Object.entries(told)) {
    await t.test(what, async () => {
      const name = `told-${++count}`;
      await createTelling(name, say);
      const sandbox = await running(name);
      const lines = await runtimeLog(home, name);
      assert.match(lines, /started from the (image|machine) template/);
      for (const line of [right, wrong]) assert.equal(lines.includes(line), line === log, lines);
      assert.equal(await output(sandbox, "echo works > /root/it; cat /root/it; hostname"), `works\n${name}`);
      assert.equal((await processesOf(home, name)).length, 2);
      await destroy(sandbox);
    });
  }
});

test("a template that goes while it is planned", { timeout }, async (t) => {
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
