import { chooseAccelerator, type AcceleratorChoice } from "../../machine/accelerator/accelerator.ts";
import type { StartInputs } from "../contract/handover.ts";
import { guestTscKhz } from "../inputs/machine-spec.ts";
import { probeInputs } from "../inputs/probe.ts";
import type { StartContext, StartPlan } from "./context.ts";
import { AcceleratorFailedError } from "./start-errors.ts";

/**
 * Finds out what is not known yet, then starts; again with the next accelerator when the first one does not work.
 *
 * @param handedOver what others have found out a moment ago; null when nothing, or when it turned out to be wrong
 */
export async function withAccelerator<T>(
  context: StartContext,
  handedOver: StartInputs | null,
  start: (plan: StartPlan) => Promise<T>,
): Promise<T> {
  const { home, runtimeLog, operation } = context;
  const inputs = handedOver ?? (await probe(context));
  const { accelerator: settled } = inputs;
  // It may wait for another start that is finding out what works here.
  let choice: AcceleratorChoice =
    settled === null
      ? await operation.wait(
          chooseAccelerator({ cacheDirectory: home.cache }, inputs.qemu, inputs.kernel, inputs),
        )
      : { ...settled, probe: null };
  for (;;) {
    runtimeLog.write("info", `starting with ${choice.accelerator}: ${choice.why}`);
    try {
      return await start({
        ...inputs,
        ...{ context, choice, trial: { probe: choice.probe } },
        tscKhz: guestTscKhz(choice.accelerator, inputs.tscKhz),
      });
    } catch (error) {
      if (!(error instanceof AcceleratorFailedError)) throw error;
      runtimeLog.write("warn", `${choice.accelerator} does not work here: ${error.message}`);
      operation.log(`${choice.accelerator} does not work here: ${error.message}`);
      const failed = choice.accelerator;
      choice = await error.next();
      context.notice(insteadOf(failed, choice.accelerator));
    }
  }
}

/** QEMU's own words are in `runtime.log` and in what `msb doctor` says. */
function insteadOf(failed: string, next: string): string {
  const what = next === "tcg" ? "software emulation (tcg), which is slower" : next;
  return `${failed} does not work on this host: sandboxes run in ${what}. "msb doctor" says why.`;
}

async function probe(context: StartContext): Promise<StartInputs> {
  context.runtimeLog.write("debug", "probing what the machine is made of");
  return await context.operation.wait(probeInputs(context, context.operation.signal));
}
