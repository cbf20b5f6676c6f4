import { ProtocolError, type BootStage } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import { isAcceleratorFailure } from "../../machine/accelerator/accelerator-failure.ts";
import { Machine } from "../../machine/machine.ts";
import { bearableTimer, rightTimer, wrongTimer, type TimerRange } from "../../machine/qemu/command-line.ts";
import type { MachineExit, TemplateUse } from "../../machine/types.ts";
import { bootMessage, bootMessages, type Surroundings } from "../../guest-setup/boot-messages.ts";
import { AgentLink } from "../../agent-link/agent-link.ts";
import { GuestBootError } from "../../agent-link/guest-boot-error.ts";
import { machineSpec } from "../inputs/machine-spec.ts";
import type { PreparedNetwork } from "../contract/handover.ts";
import { servedWhile } from "./serve-files.ts";
import {
  AcceleratorFailedError,
  bootLimit,
  restoreLimit,
  startError,
  type WaitLimit,
} from "./start-errors.ts";
import {
  unlessOver,
  type FillUnderWay,
  type StartContext,
  type StartedMachine,
  type StartPlan,
} from "./context.ts";

/** A guest whose kernel is booted. */
export interface BootOptions {
  /** Its memory, when it is to be saved. */
  readonly template?: TemplateUse;
  /** How long it is waited for, when that is not as long as the start may take. */
  readonly limit?: WaitLimit;
}

/** After so many boots what is bearable is taken: on such a host the next one is hardly better. Not for a template, which many have. */
const mostExactBoots = 4;

/** The guest has ended itself; another boot may be better. */
class WrongTimerError extends Error {}

/**
 * Starts a machine from its kernel and waits for its agent; again while the kernel has measured its timer wrongly, as happens where it
 * has to wait for a processor meanwhile.
 *
 * @throws AcceleratorFailedError when the accelerator was on trial and failed before the guest's first sign of life;
 *   BootStartError, InvalidConfigError; why the start is over: no machine is started then
 */
export async function bootToHello(plan: StartPlan, options: BootOptions = {}): Promise<StartedMachine> {
  for (let boots = 1; ; boots++) {
    const isExact = boots <= mostExactBoots || options.template !== undefined;
    try {
      return await bootOnce(plan, options, isExact ? rightTimer : bearableTimer);
    } catch (error) {
      if (!(error instanceof WrongTimerError)) throw error;
      plan.context.operation.log(`booted anew: ${error.message}`);
      plan.context.runtimeLog.write("info", `booted anew: ${error.message}`);
    }
  }
}

async function bootOnce(plan: StartPlan, options: BootOptions, timer: TimerRange): Promise<StartedMachine> {
  const { context, choice, qemu, kernel, root, mounts, network, tscKhz, trial } = plan;
  const { accelerator } = choice;
  const { signal, operation } = context;
  const { probe } = trial;
  const own = probe === null ? options.limit : { ...bootLimit(), ms: probe.deadlineMs };
  operation.throwIfOver();
  context.progress("boot");
  const startedAtMs = performance.now();
  const spec = machineSpec(context.record, kernel, root, mounts, options.template);
  const machine = Machine.start(spec, accelerator, { qemu, tscKhz, timer });
  context.kernelLog.follow(machine.console);
  const started = linkTo(context, machine, startedAtMs, network);
  const hello = (within: Operation): Promise<unknown> => unlessOver(started.agent.hello, machine, within);
  try {
    // A trial gets all of its time, so that whoever comes next knows the outcome.
    if (probe !== null) await Operation.run(`try ${accelerator}`, { signal, timeoutMs: own?.ms }, hello);
    else await within(operation, own, hello);
    // What comes later says nothing about the accelerator any more.
    trial.probe = null;
    await probe?.succeeded();
    return started;
  } catch (error) {
    await ownEnd(started, error);
    machine.kill();
    const exit = await machine.exited;
    const line = machine.consoleTail.split("\n").find((text) => text.includes(wrongTimer));
    if (accelerator === "tcg" && line !== undefined && !operation.signal.aborted)
      throw new WrongTimerError(line.trim());
    const isFailure = !signal.aborted && isAcceleratorFailure(accelerator, exit);
    if (!isFailure) await probe?.abandoned();
    signal.throwIfAborted();
    if (probe !== null && isFailure) throw new AcceleratorFailedError(accelerator, probe, exit);
    const limit = own === undefined || (probe === null && operation.signal.aborted) ? bootLimit() : own;
    throw startError(context, "build_vm", error, exit, limit);
  }
}

/** Does a step of a start in the time that it has: its own, or all that is left of the start. */
export async function within<T>(
  operation: Operation,
  limit: WaitLimit | undefined,
  step: (operation: Operation) => Promise<T>,
): Promise<T> {
  if (limit === undefined) return await step(operation);
  const { signal } = operation;
  return await Operation.run("wait for the guest", { signal, timeoutMs: limit.ms }, step);
}

/** @param hello what the agent said when it was saved, for a machine that is restored */
export function linkTo(
  context: Pick<StartContext, "agentLost" | "runtimeLog">,
  machine: Machine,
  startedAtMs: number,
  network: PreparedNetwork | null,
  hello?: AgentLink["hello"] extends Promise<infer H> ? H : never,
): StartedMachine {
  let isLive = false;
  const agent = new AgentLink(machine.agentPort, {
    lost: (error) => {
      if (isLive) context.agentLost(error);
    },
    event: (level, text) => {
      context.runtimeLog.write(level, text);
    },
    ...(hello === undefined ? {} : { restored: hello }),
  });
  return { machine, agent, startedAtMs, network, live: () => (isLive = true) };
}

/**
 * Makes a started machine the sandbox.
 *
 * @param isMounted its root is there already
 * @throws BootStartError, InvalidConfigError; the signal's reason. The machine has ended then
 */
export async function becomeSandbox(
  { context, root, mounts, network }: StartPlan,
  started: StartedMachine,
  isMounted: boolean,
): Promise<StartedMachine> {
  context.progress("guest");
  try {
    const isFilled = context.fill !== null;
    const surroundings = { mounts: mounts.guest, network };
    const messages = bootMessages(context.record, surroundings, isMounted ? null : root, isFilled);
    const booted = servedWhile(context, started.machine, mounts, started.agent.boot(messages));
    await untilReady(context, started, booted, surroundings, context.operation);
    started.live();
    return started;
  } catch (error) {
    throw await endedBy(context, started, "build_vm", error);
  }
}

/** How long QEMU may take to be gone, and what it has said to be read, once its connection to the guest is, ms. */
const lastWordsMs = 3_000;

/**
 * How a machine has ended by itself; null while it runs. A machine that ends loses its connections one after the other, and
 * what became of them says less than why it ended.
 */
export async function ownEnd(
  { machine, agent }: StartedMachine,
  error: unknown,
): Promise<MachineExit | null> {
  const isBroken = agent.lost && !(error instanceof ProtocolError);
  return await orTimeout(machine.exited, isBroken ? lastWordsMs : 0);
}

/**
 * Ends the machine.
 *
 * @param shorter what the guest was waited for, if that was not all of the start's time
 * @returns what to tell the user. @throws the signal's reason, when the sandbox is not wanted any more
 */
export async function endedBy(
  context: StartContext,
  started: StartedMachine,
  stage: BootStage,
  error: unknown,
  shorter: WaitLimit = restoreLimit(),
): Promise<Error> {
  const limit = context.operation.signal.aborted ? bootLimit() : shorter;
  await ownEnd(started, error);
  started.machine.kill();
  const exit = await started.machine.exited;
  if (!(error instanceof GuestBootError)) context.signal.throwIfAborted();
  return startError(context, stage, error, exit, limit);
}

/**
 * Waits until a guest is what it was told to become. Fills its root first, when there is something to fill it with: then the guest was
 * not told to boot yet.
 *
 * @param booted what the agent answers
 * @param surroundings what it is told of, when its root is filled first
 * @param operation the context's, or a shorter one
 * @param beforeFill what has to be certain before the root is changed
 * @throws what it answered; what ended the machine; why the operation is over; PatchFailedError
 */
export async function untilReady(
  context: StartContext,
  started: StartedMachine,
  booted: Promise<void>,
  surroundings: Surroundings,
  operation: Operation,
  beforeFill?: () => Promise<void>,
): Promise<void> {
  const { machine, agent } = started;
  if (context.fill !== null) {
    // The guest answers this when its root is mounted. That it cannot be is told by the other one.
    const listens = machine.ready.then(() => Promise.race([agent.ping(), booted]));
    await unlessOver(listens, machine, operation);
    await beforeFill?.();
    await fillRoot(context, context.fill, started, booted, operation);
    agent.sendBoot(bootMessage(context.record, surroundings));
  }
  await unlessOver(
    machine.ready.then(() => booted),
    machine,
    operation,
  );
  // Again, now that the way to the guest is short: what was sent first had to wait for a machine that was being restored.
  agent.setClock();
}

/** How long that takes depends on what is copied, so it is no part of the time for a start. */
async function fillRoot(
  { operation, progress }: StartContext,
  underWay: FillUnderWay,
  { machine, agent }: StartedMachine,
  booted: Promise<void>,
  restore: Operation,
): Promise<void> {
  progress("patch");
  underWay.begun = true;
  const filled = operation.uncounted(() =>
    restore.uncounted(() => Promise.race([agent.fill(underWay.fill, restore.signal), booted])),
  );
  await unlessOver(filled, machine, restore);
}
