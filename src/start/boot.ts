import { chooseAccelerator, type AcceleratorChoice } from "../machine/accelerator/accelerator.ts";
import { guestTscKhz, lookAround } from "./inputs.ts";
import { readGlobalConfig } from "../store/global-config.ts";
import { templateLimitBytes, whyNoTemplates } from "../store/templates/template-settings.ts";
import { startBegun } from "./prelaunch/begun-start.ts";
import { becomeSandbox, startToHello } from "./cold-start.ts";
import type { StartContext, StartedMachine, StartPlan } from "./start-context.ts";
import { AcceleratorFailedError, bootDeadlineMs } from "./start-errors.ts";
import { startFromTemplate } from "./templates/template-start.ts";
import { unlessAborted } from "../host/unless-aborted.ts";

/**
 * Starts the sandbox's VM, from a template where that can be done, and waits until commands can be run in it.
 *
 * @throws BootStartError when the VM fails; InvalidConfigError for a workdir that is none; QemuNotFoundError,
 * LibkrunfwNotFoundError, ImageError, IoError before there is a VM
 */
export async function bootGuest(context: StartContext): Promise<StartedMachine> {
  context.progress("prepare");
  const deadline = deadlineOf(context.begun?.startedAtMs ?? performance.now());
  const begun = await startBegun(context, deadline);
  if (begun !== null && begun !== "failed") return begun;
  const limit = begun === "failed" ? Promise.resolve(0) : templateLimit(context);
  limit.catch(() => undefined);
  return await withAccelerator(context, deadline, async (plan) => {
    const limitBytes = await limit;
    if (limitBytes > 0) {
      const started = await startFromTemplate(plan, limitBytes);
      if (started !== null) return started;
    }
    return await startCold(plan);
  });
}

/** @param startedAtMs when the first thing was done, as performance.now() says */
function deadlineOf(startedAtMs: number): AbortSignal {
  const left = Math.ceil(startedAtMs + bootDeadlineMs() - performance.now());
  return left > 0
    ? AbortSignal.timeout(left)
    : AbortSignal.abort(new DOMException("the time for the start is over", "TimeoutError"));
}

/** @returns what all templates may take on the disk, in bytes; 0 when the sandbox has no part in them */
async function templateLimit({ home, record, runtimeLog }: StartContext): Promise<number> {
  const settings = await readGlobalConfig(home);
  const barred = whyNoTemplates(process.env, settings, record.config.memoryMib);
  if (barred === null) return templateLimitBytes(settings);
  runtimeLog.write("info", `no template is used: ${barred.why}`);
  return 0;
}

async function startCold(plan: StartPlan): Promise<StartedMachine> {
  await plan.root.makeUpper();
  return await becomeSandbox(plan, await startToHello(plan), false);
}

/** Finds out everything that is needed, then starts; again with the next accelerator when the first one does not work. */
export async function withAccelerator<T>(
  context: StartContext,
  deadline: AbortSignal,
  start: (plan: StartPlan) => Promise<T>,
): Promise<T> {
  const { home, runtimeLog, signal } = context;
  const found = await lookAround(context, signal);
  // It may wait for another start that is finding out what works here.
  let choice: AcceleratorChoice = await unlessAborted(
    chooseAccelerator({ cacheDirectory: home.cache }, found.qemu, found.kernel, found),
    signal,
  );
  for (;;) {
    runtimeLog.write("info", `starting with ${choice.accelerator}: ${choice.why}`);
    try {
      return await start({
        ...found,
        ...{ context, choice, deadline },
        trial: { probe: choice.probe },
        tscKhz: guestTscKhz(choice.accelerator, found.tscKhz),
      });
    } catch (error) {
      if (!(error instanceof AcceleratorFailedError)) throw error;
      runtimeLog.write("warn", `${choice.accelerator} does not work here: ${error.message}`);
      choice = await error.next();
      context.notice(`${error.message}; using ${choice.accelerator} instead`);
    }
  }
}
