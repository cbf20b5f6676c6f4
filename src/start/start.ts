import { BootStartError, OperationTimeoutError, RuntimeError } from "../errors/index.ts";
import { Operation } from "../host/operation.ts";
import { fillOf } from "../guest-setup/guest-fill.ts";
import type { StartRoute } from "../protocol/generated/messages.ts";
import type { StartInputs } from "./contract/handover.ts";
import type { StartContext, StartedMachine, StartPlan, StartRequest } from "./common/context.ts";
import { bootDeadlineMs, bootLimit, bootTimeoutHint } from "./common/start-errors.ts";
import { withAccelerator } from "./common/with-accelerator.ts";
import type { Inherited } from "./prelaunch/prelaunch-qemu.ts";
import { receive, handedOverInputs, type Received } from "./prelaunch/receive.ts";
import { readSuspension, type SuspensionRecord } from "../store/suspension.ts";
import { guestTscKhz } from "./inputs/machine-spec.ts";
import { machineFacts, type MachineFacts } from "./inputs/machine-facts.ts";
import { probeInputs } from "./inputs/probe.ts";
import { startCold } from "./routes/cold.ts";
import { ownContinuation, startContinued } from "./routes/continued.ts";
import { discardPrelaunched, startPrelaunched } from "./routes/prelaunched.ts";
import { startRestored } from "./routes/restored.ts";

/** Of a host that was looked at before, ms. */
export const probeMs = 30_000;

/** A sandbox's machine, and how it came to run. */
export interface StartOutcome {
  readonly started: StartedMachine;
  readonly route: StartRoute;
  /** One line for a person: from what, and why not in a quicker way. */
  readonly reason: string;
  /** What its memory can be used with, as far as that was so at the start. */
  readonly facts: () => Promise<MachineFacts>;
  /** What its guest had open when it was suspended: it stands still until that is taken over. null: it was not. */
  readonly suspended: SuspensionRecord | null;
  /** Such a guest has been told already whose it is, and has the random numbers and the time of now: it only stands still. */
  readonly isToldWhose: boolean;
}

/**
 * Starts the sandbox's VM in the quickest way there is, and waits until commands can be run in it:
 *
 * 1. with the QEMU that was started while this process loaded its program (`routes/prelaunched.ts`);
 * 2. from a template, which is made first when there is none (`routes/restored.ts`);
 * 3. from its kernel (`routes/cold.ts`).
 *
 * @param inherited what this process was told by whoever started it, and the QEMU it has already started
 * @throws BootStartError when the VM fails, with the log of what was done; InvalidConfigError for a workdir that is none;
 *   QemuNotFoundError, LibkrunfwNotFoundError, ImageError, IoError before there is a VM
 */
export async function startGuest(request: StartRequest, inherited: Inherited): Promise<StartOutcome> {
  const startedAtMs = inherited.qemu.kind === "running" ? inherited.qemu.startedAtMs : performance.now();
  return await inTime(request, startedAtMs, (context) => takeRoute(context, inherited));
}

/** Starts a guest in the time that a start may take. */
export async function inTime(
  request: StartRequest,
  startedAtMs: number,
  start: (context: StartContext) => Promise<StartOutcome>,
): Promise<StartOutcome> {
  const { record, signal } = request;
  const timeoutMs = Math.max(0, Math.ceil(startedAtMs + bootDeadlineMs() - performance.now()));
  try {
    return await Operation.run(`start sandbox ${record.name}`, { signal, timeoutMs }, async (operation) => {
      const progress = (stage: string): void => {
        operation.log(stage);
        request.progress(stage);
      };
      const fill = await fillOf(record, request.paths);
      const underWay = fill === null ? null : { fill, begun: false };
      return await start({ ...request, operation, progress, fill: underWay });
    });
  } catch (error) {
    throw error instanceof OperationTimeoutError ? outOfTime(record.name, error) : error;
  }
}

async function takeRoute(context: StartContext, inherited: Inherited): Promise<StartOutcome> {
  context.progress("prepare");
  const suspended = await readSuspension(context.paths.directory);
  if (suspended !== null) return await goOn(context, inherited, suspended);
  const received = receive(inherited, context.paths.upper);
  const prelaunched = await startPrelaunched(context, received);
  if (prelaunched.kind === "started") {
    const facts = (): Promise<MachineFacts> => factsOfPrelaunched(context, received);
    return reportStart(context, "prelaunched", prelaunched, null, facts);
  }
  context.operation.log(`no prelaunch: ${prelaunched.reason}`);
  context.runtimeLog.write("info", `no prelaunch: ${prelaunched.reason}`);
  // Whoever said what does not work may have been wrong in all of it.
  const handedOver = prelaunched.kind === "failed" ? null : inputsOf(context, received);
  return await withAccelerator(context, handedOver, async (plan) => {
    // What has failed as a template a moment ago is made anew by the next start, not by this one.
    const restored = prelaunched.kind === "failed" ? prelaunched : await startRestored(plan);
    if (restored.kind === "started")
      return reportStart(context, "restored", restored, prelaunched.reason, () => factsOf(plan));
    context.operation.log(`no restore: ${restored.reason}`);
    return await boot(plan, restored.reason, prelaunched.reason);
  });
}

function inputsOf({ paths, runtimeLog }: StartContext, received: Received): StartInputs | null {
  try {
    return handedOverInputs(received, paths.upper);
  } catch (error) {
    runtimeLog.write("warn", `what was handed over is not valid: ${(error as Error).message}`);
    return null;
  }
}

async function boot(plan: StartPlan, notRestored: string, notPrelaunched: string): Promise<StartOutcome> {
  const cold = { started: await startCold(plan), reason: `booted its kernel: ${notRestored}` };
  const notSooner = notPrelaunched === notRestored ? null : notPrelaunched;
  return reportStart(plan.context, "cold", cold, notSooner, () => factsOf(plan));
}

/** It was suspended. Whoever has planned a prelaunch knew it, and made none. */
async function goOn(
  context: StartContext,
  inherited: Inherited,
  suspended: SuspensionRecord,
): Promise<StartOutcome> {
  const received = receive(inherited, context.paths.upper);
  await discardPrelaunched(context, received);
  return await withAccelerator(context, inputsOf(context, received), async (plan) => {
    const continued = await startContinued(plan, ownContinuation(context.paths.directory, suspended));
    const outcome = reportStart(context, "continued", continued, null, () => factsOf(plan));
    return { ...outcome, suspended };
  });
}

function factsOf(plan: StartPlan): Promise<MachineFacts> {
  return machineFacts({ ...plan, record: plan.context.record, accelerator: plan.choice.accelerator });
}

/** The accelerator is the one that it was planned with. */
async function factsOfPrelaunched(context: StartContext, received: Received): Promise<MachineFacts> {
  const inputs = inputsOf(context, received) ?? (await probeInputs(context, AbortSignal.timeout(probeMs)));
  if (inputs.accelerator === null) throw new RuntimeError("nobody knows what the machine was made of");
  const { accelerator } = inputs.accelerator;
  const tscKhz = guestTscKhz(accelerator, inputs.tscKhz);
  return await machineFacts({ ...inputs, record: context.record, accelerator, tscKhz });
}

/** @param notPrelaunched null where that is said already, or is not so */
export function reportStart(
  { runtimeLog }: StartContext,
  route: StartRoute,
  { started, reason }: { readonly started: StartedMachine; readonly reason: string },
  notPrelaunched: string | null,
  facts: StartOutcome["facts"],
): StartOutcome {
  const all = notPrelaunched === null ? reason : `${reason} (no prelaunch: ${notPrelaunched})`;
  runtimeLog.write("info", `${route}: ${all}`);
  return { started, route, reason: all, facts, suspended: null, isToldWhose: false };
}

/** The time was over before there was a machine to tell anything about. */
function outOfTime(sandboxName: string, cause: OperationTimeoutError): BootStartError {
  const { missed, ms } = bootLimit();
  const nothing = { errno: null, consoleTail: "", qemuOutput: "" };
  return new BootStartError(
    `${missed} within ${ms} ms`,
    { sandboxName, stage: "other", ...nothing },
    { cause, hint: bootTimeoutHint },
  );
}
