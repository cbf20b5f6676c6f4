import assert from "node:assert/strict";
import { access, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { Sandbox, SandboxNotFoundError, type StartReport } from "../../../src/index.ts";
import { warmImage } from "../../../src/api/setup/warm.ts";
import { processesGone, processOf, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import {
  destroy,
  filesInTheMaking,
  kindsOf,
  runtimeLog,
  small,
  templateEntries,
  templateOf,
  works,
} from "./template-support.ts";

export const needs: Needs = ["template"];

// Templates are made once, by whoever comes first, or not at all.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });

afterEach(async () => {
  await processesGone(home);
  await rm(join(home, "templates"), { recursive: true, force: true });
  await rm(join(home, "config.json"), { force: true });
});

/** What is there once nobody makes anything: templates, and no leftovers. */
async function assertOnlyTemplates(kinds: string[]): Promise<void> {
  // A supervisor that has told its end may still hold a template's lock, on its way out of the hashes.
  await processesGone(home);
  const others = (await templateEntries(home)).filter((name) => !/^[0-9a-f]{64}$/.test(name));
  assert.deepEqual(others, []);
  assert.deepEqual(await readdir(join(home, "run")), []);
  assert.deepEqual(await kindsOf(home), kinds);
}

test("four sandboxes at once make one template of each kind", { timeout }, async () => {
  const names = ["a", "b", "c", "d"];
  const sandboxes = await Promise.all(names.map((name) => small(name)));
  const logs = (await Promise.all(names.map((name) => runtimeLog(home, name)))).join("\n");
  assert.equal(logs.match(/made the machine template/g)?.length, 1, logs);
  assert.equal(logs.match(/made the image template/g)?.length, 1, logs);
  assert.equal(logs.match(/restored: started from the image template/g)?.length, 4, logs);
  assert.doesNotMatch(logs, /WARN/);
  const reports = sandboxes.map(({ startReport }) => startReport);
  assert.deepEqual([...new Set(reports.map((report) => report?.route))], ["restored"]);
  const made = reports.filter((report) =>
    / made for it \(no prelaunch: there is no template/.test(report?.reason ?? ""),
  );
  assert.equal(made.length, 1);
  for (const sandbox of sandboxes) assert.equal(await output(sandbox, "hostname"), sandbox.name);
  await Promise.all(sandboxes.map(destroy));
  await assertOnlyTemplates(["image", "machine"]);
});

test("hashes that their maker could not finish are computed by another sandbox", { timeout }, async () => {
  await destroy(await small("maker"));
  const template = await templateOf(home, "image");
  await rm(join(template.directory, "hashes.json"), { force: true });
  const next = await small("next");
  await eventually("the hashes", () =>
    access(join(template.directory, "hashes.json")).then(
      () => true,
      () => null,
    ),
  );
  assert.match(await runtimeLog(home, "next"), new RegExp(`started from the image template ${template.key}`));
  await destroy(next);
});

const isTemplate = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);
const moments: Record<string, () => Promise<boolean>> = {
  "while the kernel boots": async () => (await filesInTheMaking(home)).includes("memory"),
  "while the machine is saved": async () => (await filesInTheMaking(home)).includes("state"),
  "with the machine template in its place": async () => (await templateEntries(home)).some(isTemplate),
  "while the upper disk is packed": async () => (await filesInTheMaking(home)).includes("upper.extents"),
};

/** @returns whether it was killed: a moment that is over before it was seen is missed, and the sandbox is there */
async function killMaker(hasCome: () => Promise<boolean>): Promise<boolean> {
  const created = small("killed").catch((error: unknown) => error);
  const supervisor = await eventually("the supervisor", () =>
    processOf(home, "killed", "supervisor").catch(() => null),
  );
  const settled = new AbortController();
  void created.finally(() => {
    settled.abort();
  });
  // No event tells this, and it does not last.
  while (!settled.signal.aborted && !(await hasCome())) await new Promise(setImmediate);
  if (!settled.signal.aborted) process.kill(supervisor, "SIGKILL");
  const outcome = await created;
  if (!(outcome instanceof Sandbox)) return true;
  await destroy(outcome);
  await processesGone(home);
  await rm(join(home, "templates"), { recursive: true });
  return false;
}

for (const [moment, hasCome] of Object.entries(moments)) {
  test(`the maker is killed ${moment}`, { timeout }, async () => {
    let attempts = 0;
    while (!(await killMaker(hasCome))) assert.ok(++attempts < 10, "it was never killed in time");
    await processesGone(home);
    await assert.rejects(Sandbox.get("killed"), SandboxNotFoundError);
    // The next one begins anew, waits for nobody, and clears away what was left.
    const log = await works(home, "next");
    assert.match(log, /started from the image template/);
    assert.doesNotMatch(log, /WARN/);
    await assertOnlyTemplates(["image", "machine"]);
  });
}

test("without templates a sandbox boots and leaves none", { timeout }, async () => {
  const ways: [NodeJS.ProcessEnv, string | null, RegExp][] = [
    [{ MSB_TEMPLATES: "off" }, null, /turned off by MSB_TEMPLATES$/],
    [{ MSB_TEMPLATES: undefined }, '{"templates": {"enabled": false}}', /turned off in config\.json$/],
    // Less than this guest's memory.
    [{}, '{"templates": {"max_size_mib": 100}}', /more than templates\.max_size_mib \(100\)$/],
    [{}, '{"templates": {"max_size_mib": 0}}', /templates\.max_size_mib is 0\)$/],
  ];
  for (const [environment, config, why] of ways) {
    if (config !== null) await writeFile(join(home, "config.json"), config);
    const log = await works(home, "cold", environment);
    assert.match(log, why);
    assert.match(log, /^[^\n]*no prelaunch: [^\n]*\n[^\n]*cold: booted its kernel: [^\n]*$/);
    assert.deepEqual(await templateEntries(home), []);
  }
});

test("a template that nobody waits for any more is not made", { timeout }, async () => {
  const waiting = new AbortController();
  const warming = warmImage("localhost/base", () => undefined, waiting.signal);
  const outcome = warming.then(
    () => "made",
    (error: unknown) => error,
  );
  await eventually("its machine", async () => (await filesInTheMaking(home)).includes("memory") || null);
  const reason = new Error("never mind");
  waiting.abort(reason);
  assert.equal(await outcome, reason);
  assert.deepEqual(await templateEntries(home), []);
});

test("whoever starts a sandbox is told how it was started", { timeout }, async () => {
  const told: StartReport[] = [];
  const onStarted = (report: StartReport): unknown => told.push(report);
  const config = { image: "localhost/base", memoryMib: smallMemory };
  await withEnvironment({ MSB_TEMPLATES: "off" }, async () => {
    const sandbox = await Sandbox.create({ ...config, name: "told" }, { onStarted });
    const [report] = told;
    assert.deepEqual(report, sandbox.startReport);
    assert.equal(report.route, "cold");
    assert.equal(report.reason, "booted its kernel: templates are turned off by MSB_TEMPLATES");
    assert.match(report.accelerator, /^(kvm|hvf|tcg)$/);
    assert.ok(report.elapsedMs > 0);
    const handle = await Sandbox.get("told");
    assert.deepEqual(handle.startReport, report);
    await using other = await handle.connect();
    assert.deepEqual(other.startReport, report);
    // At the level that is the default the log has nothing of it.
    assert.doesNotMatch(await runtimeLog(home, "told"), /cold|prelaunch/);
    await destroy(sandbox);
  });
});

test("the environment decides before config.json does", { timeout }, async () => {
  await writeFile(join(home, "config.json"), '{"templates": {"enabled": false}}');
  assert.match(await works(home, "warm"), /started from the image template/);
  await assertOnlyTemplates(["image", "machine"]);
  // What is there is not used, and stays.
  await withEnvironment({ MSB_TEMPLATES: undefined }, async () => {
    assert.match(await works(home, "cold"), /cold: booted its kernel: .*turned off in config\.json$/);
  });
  await assertOnlyTemplates(["image", "machine"]);
});
