import { lstat, open, rename, rm } from "node:fs/promises";
import { InvalidConfigError, RuntimeError } from "../errors/index.ts";
import { Machine } from "../machine/index.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.generated.ts";
import {
  errorCode,
  hashTemplate,
  markDurable,
  openTemplate,
  tryLockTemplate,
  unpackExtents,
  type Template,
} from "../store/index.ts";
import { endedBy, introduce, linkTo } from "./cold-start.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import { machineSpec, type StartContext, type StartedMachine, type StartPlan } from "./start-context.ts";
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
  if (!isMounted) await plan.root.makeUpper();
  const started = await orTemplateFailed(plan, async () => {
    if (isMounted && !upperIsMade) await copyUpper(plan, template);
    return await startRestored(plan, template, { memoryPath: template.paths.memory, shared: false });
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

/** QEMU with a template's state, going on by itself. @throws IoError, or what open(2) reports, when its files are not there */
export async function startRestored(
  plan: StartPlan,
  { paths, record }: Template,
  memory: { readonly memoryPath: string; readonly shared: boolean },
): Promise<StartedMachine> {
  const { context, choice, qemu, tscKhz } = plan;
  await using state = await open(paths.state);
  context.signal.throwIfAborted();
  const startedAtMs = performance.now();
  const machine = Machine.start(machineSpec(plan, { ...memory, restored: true }), choice.accelerator, {
    qemu,
    tscKhz,
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

/** Aside first: a disk that was cut short by a kill must not be taken for the sandbox's own. */
async function copyUpper({ root }: StartPlan, { paths }: Template): Promise<void> {
  const upperPath = root.template?.upperPath ?? null;
  if (upperPath === null) return;
  const aside = `${upperPath}.new`;
  await rm(aside, { force: true });
  await unpackExtents(paths.upper, aside);
  await rename(aside, upperPath);
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
