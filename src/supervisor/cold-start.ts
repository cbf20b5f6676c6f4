import type { BootStage } from "../errors/index.ts";
import { blamesAccelerator, Machine, type TemplateUse } from "../machine/index.ts";
import { machineSpec, mountMessage } from "../plan/index.ts";
import { AgentLink } from "./agent-link.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import { AcceleratorFailedError, bootLimit, restoreLimit, startError } from "./start-errors.ts";
import { bootMessage, unlessOver, type StartedMachine, type StartPlan } from "./start-context.ts";

/**
 * Starts a machine from its kernel and waits for its agent.
 *
 * @throws AcceleratorFailedError when the accelerator was on trial and failed before the guest's first sign of life;
 *   BootStartError, InvalidConfigError; the signal's reason
 */
export async function startToHello(plan: StartPlan, template?: TemplateUse): Promise<StartedMachine> {
  const { context, choice, qemu, kernel, root, tscKhz, trial } = plan;
  const { accelerator } = choice;
  const { signal } = context;
  const { probe } = trial;
  const limit = probe === null ? bootLimit() : { ...bootLimit(), ms: probe.deadlineMs };
  signal.throwIfAborted();
  context.progress("boot");
  const startedAtMs = performance.now();
  const spec = machineSpec(context.record, kernel, root, template);
  const machine = Machine.start(spec, accelerator, { qemu, tscKhz });
  context.kernelLog.follow(machine.console);
  const started = linkTo(plan, machine, startedAtMs);
  try {
    const deadline = probe === null ? plan.deadline : AbortSignal.timeout(limit.ms);
    await unlessOver(started.agent.hello, machine, [signal, deadline]);
    // What comes later says nothing about the accelerator any more.
    trial.probe = null;
    await probe?.succeeded();
    return started;
  } catch (error) {
    machine.kill();
    const exit = await machine.exited;
    const telling = !signal.aborted && blamesAccelerator(accelerator, exit);
    if (!telling) await probe?.abandoned();
    signal.throwIfAborted();
    if (probe !== null && telling) throw new AcceleratorFailedError(accelerator, probe, exit);
    throw startError(context, "build_vm", error, exit, limit);
  }
}

/** @param hello what the agent said when it was saved, for a machine that is restored */
export function linkTo(
  { context }: StartPlan,
  machine: Machine,
  startedAtMs: number,
  hello?: AgentLink["hello"] extends Promise<infer H> ? H : never,
): StartedMachine {
  let isLive = false;
  const agent = new AgentLink(machine.agentPort, {
    lost: (error) => {
      if (isLive) context.agentLost(error);
    },
    ...(hello === undefined ? {} : { restored: hello }),
  });
  return { machine, agent, startedAtMs, live: () => (isLive = true) };
}

/**
 * Makes a started machine the sandbox.
 *
 * @param isMounted its root is there already
 * @throws BootStartError, InvalidConfigError; the signal's reason. The machine has ended then
 */
export async function becomeSandbox(
  plan: StartPlan,
  started: StartedMachine,
  isMounted: boolean,
): Promise<StartedMachine> {
  const { context } = plan;
  context.progress("guest");
  try {
    await introduce(plan, started, isMounted, plan.deadline);
    started.live();
    return started;
  } catch (error) {
    throw await endedBy(plan, started, "build_vm", error);
  }
}

/** Ends the machine. @returns what to tell the user */
export async function endedBy(
  { context, deadline }: StartPlan,
  { machine }: StartedMachine,
  stage: BootStage,
  error: unknown,
): Promise<Error> {
  // The only other limit is that of a template's restore, which is shorter.
  const limit = deadline.aborted ? bootLimit() : restoreLimit();
  machine.kill();
  const exit = await machine.exited;
  if (context.signal.aborted && !(error instanceof GuestBootError)) context.signal.throwIfAborted();
  return startError(context, stage, error, exit, limit);
}

/** A guest that has mounted its root wants to be seeded again: it may be saved there, and its copies must not go on without. */
function mountRoot(plan: StartPlan, agent: AgentLink): Promise<void> {
  const mounted = agent.mount(mountMessage(plan.context.record, plan.root));
  agent.seed();
  return mounted;
}

/** Everything a guest is told before it runs its first command, in one go. @throws what the agent answered */
export async function introduce(
  plan: StartPlan,
  { machine, agent }: StartedMachine,
  isMounted: boolean,
  deadline: AbortSignal,
): Promise<void> {
  agent.seed();
  agent.setClock();
  const mounted = isMounted ? Promise.resolve() : mountRoot(plan, agent);
  const ready = agent.boot(bootMessage(plan));
  // Whatever becomes of them before the machine is ready is told by it.
  for (const answer of [mounted, ready]) answer.catch(() => undefined);
  // A machine that cannot be restored says so at once.
  const restored = machine.ready.then(() => mounted).then(() => ready);
  await unlessOver(restored, machine, [plan.context.signal, deadline]);
  // Again, now that the way to the guest is short: what was sent first had to wait for a machine that was being restored.
  agent.setClock();
}
