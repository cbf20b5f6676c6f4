import { lstat, open } from "node:fs/promises";
import { InvalidConfigError, RuntimeError } from "../errors/index.ts";
import { Machine, machineCommand, type MachineSpec } from "../machine/index.ts";
import { copyTemplateUpper, machineSpec } from "../plan/index.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.generated.ts";
import {
  errorCode,
  hashTemplate,
  markDurable,
  openTemplate,
  tryLockTemplate,
  type Template,
} from "../store/index.ts";
import type { TakenQemu } from "./begun-qemu.ts";
import { endedBy, introduce, linkTo } from "./cold-start.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import type { StartContext, StartedMachine, StartPlan } from "./start-context.ts";
import { restoreDeadlineMs } from "./start-errors.ts";

/** A template did not work. The message says why, in one clause. */
export class TemplateFailedError extends Error {}

/**
 * Starts a sandbox from a template.
 *
 * @param upperIsMade the sandbox's upper disk is the one that the template was saved with
 * @throws TemplateFailedError, with no machine left; BootStartError, InvalidConfigError for what would be wrong without a
 *   template too; the signal's reason
 */
export async function restoreTemplate(
  plan: StartPlan,
  template: Template,
  upperIsMade: boolean,
): Promise<StartedMachine> {
  plan.context.progress("restore");
  const isMounted = template.record.kind === "image";
  const memory = { memoryPath: template.paths.memory, shared: false };
  const begun = await takeBegun(plan, memory);
  if (!isMounted) await plan.root.makeUpper();
  const started = await orTemplateFailed(plan, async () => {
    if (isMounted && !upperIsMade && begun === null) await copyTemplateUpper(plan.root, template);
    return await startRestored(plan, template, memory, begun);
  });
  try {
    const late = AbortSignal.timeout(restoreDeadlineMs());
    await introduce(plan, started, isMounted, AbortSignal.any([plan.deadline, late]));
    await requireSame(template);
    started.live();
    if (!template.record.durable) keep(plan.context, template);
    plan.context.runtimeLog.write(
      "info",
      `started from the ${template.record.kind} template ${template.key}`,
    );
    return started;
  } catch (error) {
    const told = await endedBy(plan, started, "build_vm", error);
    // What the guest itself says, and what is wrong with the sandbox's own files, would be so without a template too.
    if (error instanceof GuestBootError || told instanceof InvalidConfigError) throw told;
    throw new TemplateFailedError(told.message, { cause: told });
  }
}

interface TemplateMemory {
  readonly memoryPath: string;
  readonly shared: boolean;
}

function restoredSpec({ context, kernel, root }: StartPlan, memory: TemplateMemory): MachineSpec {
  return machineSpec(context.record, kernel, root, { ...memory, restored: true });
}

/** The QEMU that was started ahead, when it is just the one that would be started now; else that one ends. */
async function takeBegun(plan: StartPlan, memory: TemplateMemory): Promise<TakenQemu | null> {
  const { context, choice, qemu, tscKhz } = plan;
  if (context.begun === null) return null;
  const options = { qemu, tscKhz, parentPid: process.pid };
  const command = machineCommand(restoredSpec(plan, memory), choice.accelerator, options);
  const taken = await context.begun.take(command);
  context.runtimeLog.write(
    "debug",
    taken === null ? "the QEMU that was started first is not the right one" : "QEMU was started first",
  );
  return taken;
}

/** QEMU with a template's state, going on by itself. @throws IoError, or what open(2) reports, when its files are not there */
export async function startRestored(
  plan: StartPlan,
  { paths, record }: Template,
  memory: TemplateMemory,
  begun: TakenQemu | null = null,
): Promise<StartedMachine> {
  const { context, choice, qemu, tscKhz } = plan;
  await using state = await open(paths.state);
  context.signal.throwIfAborted();
  const startedAtMs = begun?.startedAtMs ?? performance.now();
  const machine = Machine.start(restoredSpec(plan, memory), choice.accelerator, {
    ...{ qemu, tscKhz, begun },
    stateFd: state.fd,
  });
  context.kernelLog.follow(machine.console);
  const { agentVersion, kernelRelease } = record;
  return linkTo(plan, machine, startedAtMs, {
    type: "AgentHello",
    protocolVersion: PROTOCOL_VERSION,
    agentVersion,
    kernelRelease,
  });
}

/**
 * So that the template outlives the host's next start, and can be checked. It takes time that no sandbox should wait for. Who
 * made it may have ended before this was done, so whoever uses it sees to it too, one at a time.
 */
export function keep({ home, afterwards }: StartContext, template: Template): void {
  afterwards(async (signal) => {
    await using lock = await tryLockTemplate(home, template.key);
    if (lock === null) return;
    const { template: found } = await openTemplate(home, template.key);
    if (found?.inode !== template.inode || found.record.durable) return;
    await markDurable(home, template, signal);
    await hashTemplate(home, template, signal);
  });
}

/** Its files were opened one after another: had it been replaced meanwhile, they would not belong together. */
async function requireSame({ directory, inode }: Template): Promise<void> {
  const found = await lstat(directory, { bigint: true }).catch(() => null);
  if (found?.ino !== inode) throw new Error("it was removed while it was restored");
}

async function orTemplateFailed<T>({ context }: StartPlan, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    context.signal.throwIfAborted();
    // A host without room, memory or processes is no fault of the template. RuntimeError: QEMU could not even be started.
    if (error instanceof RuntimeError || isShortage(error)) throw error;
    throw new TemplateFailedError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function isShortage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = errorCode(at);
    if (code !== undefined && ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EAGAIN", "ENOMEM"].includes(code))
      return true;
  }
  return false;
}
