/**
 * Sandboxes that start from templates (docs/templates.md): how long each takes, one by one and in crowds; what a hundred of
 * them hold; what is left of five hundred.
 *
 * Reading order: this file, `starts.ts` (what one start is), `restored-guest.ts` (the floor), then the measurements.
 */
import { rm } from "node:fs/promises";
import { findSandbox } from "../src/store/sandboxes.ts";
import { hasHashes } from "../src/store/templates/template-hashes.ts";
import { listTemplates } from "../src/store/templates/template-eviction.ts";
import { locateHome, type Home } from "../src/store/home.ts";
import { openTemplate, templateDirectory, type Template } from "../src/store/templates/templates.ts";
import type { Counts } from "./options.ts";
import type { Report } from "./report.ts";
import { RestoredGuest } from "./restored-guest.ts";
import { baseSandbox, discard, firstCommand, start } from "./starts.ts";
import { measureAlive } from "./templates-alive.ts";
import { measureCrowds } from "./templates-crowds.ts";
import { measureLoop } from "./templates-loop.ts";
import { measureStages } from "./templates-stages.ts";
import { measureStarts, runOnce, startCold } from "./templates-starts.ts";

/** How long after the first sandbox its templates may take to be on the disk and hashed, ms. */
const completionMs = 120_000;

/** Starts that are not counted: caches of compiled code are filled, and files come into memory. */
const warmUps = 3;

export async function measureTemplates(report: Report, counts: Counts): Promise<void> {
  const home = locateHome();
  const firsts: number[] = [];
  const boots: number[] = [];
  let made: MadeTemplates | null = null;
  for (let turn = 0; turn < Math.max(1, counts.cold); turn++) {
    boots.push(await startCold());
    await rm(home.templates, { recursive: true, force: true });
    made = await makeTemplates(home);
    firsts.push(made.firstMs);
  }
  if (made === null) throw new Error("there is no template");
  const { template, thp } = made;
  const floor = await RestoredGuest.prepare(home, template, thp);
  for (let turn = 0; turn < warmUps; turn++) {
    await floor.run([...firstCommand]);
    await discard((await start(baseSandbox("warm-up"), false)).sandbox);
    await runOnce();
  }
  report.section("The first sandbox, which makes the templates");
  const first = report.figure("first sandbox: create() → first output", "ms", firsts);
  const boot = report.figure("in turn with it: a cold boot", "ms", boots);
  report.ratio("the first sandbox over a cold boot", first.p50 / boot.p50);
  report.section("Starts from a template, one after another");
  const cpuMs = await measureStarts(report, floor, counts);
  await measureStages(report, floor, Math.min(counts.starts, 20));
  await measureCrowds(report, cpuMs, counts.burst);
  await measureAlive(report, counts.alive);
  await measureLoop(report, home, counts.loop);
}

interface MadeTemplates {
  readonly template: Template;
  /** Of the sandboxes it is for. */
  readonly thp: string;
  /** From the call to the first output of the sandbox that made it. */
  readonly firstMs: number;
}

/** What remains to be done with templates once they are made is not to disturb what is measured, so it is waited for. */
export async function makeTemplates(home: Home): Promise<MadeTemplates> {
  const { sandbox, output } = await start(baseSandbox("first"), false);
  const { thp } = (await findSandbox(home, "first")).record.config;
  const giveUpAt = performance.now() + completionMs;
  while (!(await areComplete(home))) {
    if (performance.now() > giveUpAt) throw new Error("no templates were made, or they were not completed");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await discard(sandbox);
  const image = (await listTemplates(home)).find(({ record }) => record?.kind === "image");
  const template = image === undefined ? null : (await openTemplate(home, image.key)).template;
  if (template === null) throw new Error("there is no image template");
  return { template, thp, firstMs: output };
}

/** Both templates are there, and hashed, which is the last thing that is done with them. */
async function areComplete(home: Home): Promise<boolean> {
  const templates = await listTemplates(home);
  if (templates.length < 2) return false;
  const hashed = await Promise.all(templates.map(({ key }) => hasHashes(templateDirectory(home, key))));
  return hashed.every(Boolean);
}
