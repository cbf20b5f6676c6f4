import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import type { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import type { Handover } from "../../../src/start/contract/handover.ts";
import { supervisorArguments } from "../../../src/start/contract/process.ts";
import { planHandover } from "../../../src/start/prelaunch/plan.ts";
import {
  createSandboxDirectory,
  findSandbox,
  newSandboxId,
  sandboxPaths,
} from "../../../src/store/sandboxes.ts";
import { locateHome } from "../../../src/store/home.ts";
import { supervisorProgram } from "../../../src/host/package-files.ts";
import { processesGone, processesOf, timeout } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, runtimeLog, small, templateOf } from "./template-support.ts";

export const needs: Needs = ["template"];

// QEMU comes up beside its supervisor, as whoever starts that one has found out. What else was found out is not asked again.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
/** What a supervisor notes when it finds out for itself. */
const probed = /probing what the machine is made of/;
const prelaunched = /prelaunched: started from the (image|machine) template/;
const restored = /restored: started from the (image|machine) template/;

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
  assert.equal(log.match(new RegExp(prelaunched, "g"))?.length, 2, log);
  assert.doesNotMatch(log, probed);
  for (const [{ startReport }, kind] of [
    [sandbox, "image"],
    [again, "machine"],
  ] as const) {
    assert.equal(startReport?.route, "prelaunched");
    assert.match(startReport.reason, new RegExp(`^started from the ${kind} template [0-9a-f]{64}$`));
  }
  assert.deepEqual((await Sandbox.get("ahead")).startReport, again.startReport);
  assert.equal((await processesOf(home, "ahead")).length, 2);
  assert.equal(await output(again, "cat /root/kept"), "kept");
  await destroy(again);
});

/** Creates a sandbox as the SDK does, and tells its supervisor what `say` makes of the plan. */
async function createTelling(name: string, say: (plan: Handover) => Promise<string> | string): Promise<void> {
  const place = locateHome();
  const model = (await findSandbox(place, "model")).record;
  const createdAt = new Date().toISOString();
  const config = { ...model.config, hostname: name };
  const record = { ...model, name, config, id: newSandboxId(), createdAt };
  const lock = await createSandboxDirectory(place, record);
  const paths = sandboxPaths(place, name);
  await using log = await open(paths.runtimeLog, "a", 0o600);
  const task = { kind: "sandbox", name, attached: false } as const;
  const child = spawn(process.execPath, [supervisorProgram(), ...supervisorArguments(task)], {
    detached: true,
    cwd: paths.directory,
    stdio: ["ignore", "ignore", log.fd, "pipe", lock.fd, "pipe"],
  });
  await once(child, "spawn");
  await lock.release();
  const plan = await planHandover({ home: place, record, paths }, child.pid ?? 0);
  ((child.stdio as unknown[])[5] as Writable).end(await say(plan));
  assert.equal(plan.prelaunch.kind, "qemu", JSON.stringify(plan.prelaunch));
  child.unref();
}

async function running(name: string): Promise<Sandbox> {
  return await eventually(`${name} to run`, async () => {
    const handle = await Sandbox.get(name);
    assert.ok(handle.status !== "stopped" && handle.status !== "crashed", await runtimeLog(home, name));
    return handle.status === "running" ? await handle.connect() : null;
  });
}

/** A plan with some of its order changed. */
function ordering(plan: Handover, changes: object): string {
  return JSON.stringify({ ...plan, prelaunch: { ...plan.prelaunch, ...changes } });
}

/** What is said to the supervisor, what it notes, and what it does not. */
const told: Record<string, [say: (plan: Handover) => string, notes: RegExp[], not: RegExp[]]> = {
  "what is right": [(plan) => JSON.stringify(plan), [prelaunched], [probed]],
  nothing: [() => "", [/no prelaunch: nothing was handed over/, probed, restored], []],
  "half of it": [
    (plan) => JSON.stringify(plan).slice(0, 500),
    [/no prelaunch: .*JSON/, probed, restored],
    [],
  ],
  "what another version would say": [
    (plan) => JSON.stringify({ ...plan, protocolVersion: 0 }),
    [/no prelaunch: it was handed over for version 0 of the protocol/, probed, restored],
    [],
  ],
  "what is not valid where QEMU's start does not need it": [
    (plan) => ordering(plan, { template: { key: "mine" } }),
    [/WARN +what was handed over is not valid: prelaunch\.template/, probed, restored],
    [],
  ],
  "another file for its disk": [
    (plan) => ordering(plan, { upperPath: "/etc/hostname" }),
    [/WARN +the disk that was handed over, \/etc\/hostname, is not the sandbox's/, probed, restored],
    [],
  ],
  "that no QEMU is to be started, and all else": [
    (plan) => JSON.stringify({ ...plan, prelaunch: { kind: "none", reason: "a test wants it so" } }),
    [/no prelaunch: a test wants it so/, restored],
    [probed],
  ],
  "a template that was replaced meanwhile": [
    (plan) => {
      assert.ok(plan.prelaunch.kind === "qemu");
      return ordering(plan, { template: { ...plan.prelaunch.template, inode: "1" } });
    },
    [probed, /it was removed while it was restored/, /cold: booted its kernel: the template did not work/],
    [],
  ],
  "a QEMU that ends at once": [
    (plan) => ordering(plan, { command: ["/bin/false"] }),
    [probed, /dropped the template [0-9a-f]{64}: QEMU exited with code 1/, /cold: booted its kernel: /],
    [],
  ],
};

test("whatever a supervisor is told, its sandbox runs", { timeout }, async (t) => {
  const model = await small("model", { logLevel: "debug" });
  t.after(() => destroy(model));
  const { directory } = await templateOf(home, "image");
  let count = 0;
  for (const [what, [say, notes, not]] of Object.entries(told)) {
    await t.test(what, async () => {
      assert.ok(existsSync(directory));
      const name = `told-${++count}`;
      await createTelling(name, say);
      const sandbox = await running(name);
      const log = await runtimeLog(home, name);
      for (const note of notes) assert.match(log, note);
      for (const note of not) assert.doesNotMatch(log, note);
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
