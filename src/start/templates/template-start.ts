import { rm } from "node:fs/promises";
import { BootStartError, InvalidConfigError } from "../../errors/index.ts";
import { originOf } from "../prelaunch/head-start.ts";
import { startToHello } from "../cold-start.ts";
import { AcceleratorFailedError } from "../start-errors.ts";
import { keep, restoreTemplate, TemplateFailedError } from "./template-restore.ts";
import type { StartedMachine, StartPlan } from "../start-context.ts";
import type { Made } from "./template-making.ts";
import { TemplateSource } from "./template-source.ts";

/**
 * Starts a sandbox from a template, which is made first when there is none.
 *
 * @param limitBytes what all templates may take on the disk
 * @returns null when it has to be started without
 * @throws BootStartError, InvalidConfigError for what is wrong with or without templates; the signal's reason
 */
export async function startFromTemplate(plan: StartPlan, limitBytes: number): Promise<StartedMachine | null> {
  const source = new TemplateSource(plan, limitBytes);
  const made = await obtain(plan, source);
  if (made === null) return null;
  if ("template" in made) {
    try {
      return await restoreTemplate(plan, made.template, made.upperIsMade);
    } catch (error) {
      if (!(error instanceof TemplateFailedError)) throw error;
      const wasThere = await source.drop(made.template, error.message);
      // It was made a moment ago, and the next one would be no better; unless someone else had taken it away.
      if (made.isNew && wasThere && error.isLasting) await source.giveUp(made.template, error.message);
    }
  }
  // What another guest has written to it is not a beginning. A disk that was there before is the sandbox's own, and no part
  // of any template.
  const upperPath = plan.root.template?.upperPath ?? null;
  if (upperPath !== null) await rm(upperPath, { force: true });
  return null;
}

/**
 * Makes the template that a sandbox would be started from, unless it is there.
 *
 * @returns null when none can be made here
 */
export async function warmTemplate(plan: StartPlan, limitBytes: number): Promise<"ready" | "made" | null> {
  if (plan.trial.probe !== null) {
    // With a template there, nothing would boot, and the hardware would stay on trial.
    await plan.root.makeUpper();
    await using tried = (await startToHello(plan)).machine;
    tried.kill();
  }
  const source = new TemplateSource(plan, limitBytes);
  const made = await obtain(plan, source);
  if (made === null || "failed" in made) return null;
  // An image template is of use without the machine's, which others are made from.
  for (const template of await source.existing()) keep(plan.context, originOf(template), 0);
  return made.isNew ? "made" : "ready";
}

async function obtain(plan: StartPlan, source: TemplateSource): Promise<Made | null> {
  const { runtimeLog, signal } = plan.context;
  try {
    const made = await source.obtain();
    if (made !== null && "failed" in made) {
      if (made.from === null) runtimeLog.write("warn", `no template is made: ${made.failed}`);
      else await source.drop(made.from, made.failed);
    }
    return made;
  } catch (error) {
    signal.throwIfAborted();
    if (isOfTheSandbox(error)) throw error;
    // A disk that is full, or cannot be written, a QEMU that refuses: what can be done without templates is done.
    const why = error instanceof Error ? error.message : String(error);
    runtimeLog.write("warn", `no template is used: ${why}`);
    return { failed: why, from: null };
  }
}

/** What would be so without templates too. */
function isOfTheSandbox(error: unknown): boolean {
  return (
    error instanceof BootStartError ||
    error instanceof InvalidConfigError ||
    error instanceof AcceleratorFailedError
  );
}
