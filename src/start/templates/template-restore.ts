import { lstat, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidConfigError, IoError, RuntimeError } from "../../errors/index.ts";
import { Machine } from "../../machine/machine.ts";
import { copyTemplateUpper } from "../inputs/upper.ts";
import { bootMessages, type Surroundings } from "../../guest-setup/boot-messages.ts";
import type { PreparedNetwork, TemplateOrigin } from "../contract/handover.ts";
import { machineSpec } from "../inputs/machine-spec.ts";
import { makeUpper } from "../inputs/root.ts";
import { originOf } from "../inputs/template-key.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { Operation } from "../../host/operation.ts";
import { errorCode } from "../../host/system-error.ts";
import { hasHashes, hashTemplate, markDurable } from "../../store/templates/template-hashes.ts";
import { openTemplate, type Template } from "../../store/templates/templates.ts";
import { tryLockTemplate } from "../../store/templates/template-staging.ts";
import { endedBy, linkTo, ownEnd, untilReady } from "../common/boot.ts";
import { GuestBootError } from "../../agent-link/guest-boot-error.ts";
import type { StartContext, StartedMachine, StartPlan } from "../common/context.ts";
import { servedWhile } from "../common/serve-files.ts";
import { restoreDeadlineMs } from "../common/start-errors.ts";

/** How long a sandbox has to run before it computes hashes that another one left undone. */
const hashDelayMs = 5_000;

/** A template did not work. The message says why, in one clause. */
export class TemplateFailedError extends Error {
  /** False when somebody ended the machine, such as a host that is short of memory: the next one may work. */
  readonly isLasting: boolean;

  constructor(message: string, isLasting: boolean, options: ErrorOptions) {
    super(message, options);
    this.isLasting = isLasting;
  }
}

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
  if (!isMounted) await makeUpper(plan.root);
  const started = await orTemplateFailed(plan, async () => {
    if (isMounted && !upperIsMade) await copyTemplateUpper(plan.root, template);
    return await spawnRestored(plan, template, { memoryPath: template.paths.memory, shared: false });
  });
  const { context, mounts, network } = plan;
  const isFilled = context.fill !== null;
  const surroundings = { mounts: mounts.guest, network };
  const messages = bootMessages(context.record, surroundings, isMounted ? null : plan.root, isFilled);
  const booted = servedWhile(context, started.machine, mounts, started.agent.boot(messages));
  await becomeRestored(context, started, booted, surroundings, originOf(template));
  return started;
}

/**
 * Waits until a restored machine has become the sandbox.
 *
 * @param booted what its agent answers
 * @param surroundings what it is told of, when its root is filled first
 * @throws as {@link restoreTemplate}
 */
export async function becomeRestored(
  context: StartContext,
  started: StartedMachine,
  booted: Promise<void>,
  surroundings: Surroundings,
  origin: TemplateOrigin,
): Promise<void> {
  const { signal } = context.operation;
  try {
    await Operation.run("restore", { signal, timeoutMs: restoreDeadlineMs() }, (operation) =>
      untilReady(context, started, booted, surroundings, operation, () => requireSame(origin)),
    );
    if (context.fill === null) await requireSame(origin);
    started.live();
    keep(context, origin);
  } catch (error) {
    const ended = await ownEnd(started, error);
    const startError = await endedBy(context, started, "build_vm", error);
    // What the guest itself says, what is wrong with the sandbox's own files, and a full disk of the host would be so without a
    // template too. And when nothing is left of the start's time, that was used up before.
    const isOfTheSandbox =
      // Its root was changed: that it is not changed once more is worth more than another try.
      context.fill?.begun === true ||
      error instanceof GuestBootError ||
      startError instanceof InvalidConfigError ||
      startError instanceof IoError;
    if (isOfTheSandbox || signal.aborted) throw startError;
    throw new TemplateFailedError(startError.message, ended?.reason !== "killed", { cause: startError });
  }
}

/** QEMU with a template's state, going on by itself. @throws IoError, or what open(2) reports, when its files are not there */
export async function spawnRestored(
  plan: StartPlan,
  template: Template,
  memory: { readonly memoryPath: string; readonly shared: boolean },
): Promise<StartedMachine> {
  const { context, choice, qemu, kernel, root, mounts, network, tscKhz } = plan;
  await using state = await open(template.paths.state);
  context.signal.throwIfAborted();
  const spec = machineSpec(context.record, kernel, root, mounts, { ...memory, restored: true });
  const startedAtMs = performance.now();
  const machine = Machine.start(spec, choice.accelerator, { qemu, tscKhz, stateFd: state.fd });
  return linkToRestored(context, machine, startedAtMs, network, originOf(template));
}

export function linkToRestored(
  context: StartContext,
  machine: Machine,
  startedAtMs: number,
  network: PreparedNetwork | null,
  { agentVersion, kernelRelease }: Pick<TemplateOrigin, "agentVersion" | "kernelRelease">,
): StartedMachine {
  context.kernelLog.follow(machine.console);
  const hello = { protocolVersion: PROTOCOL_VERSION, agentVersion, kernelRelease };
  return linkTo(context, machine, startedAtMs, network, { type: "AgentHello", ...hello });
}

/**
 * So that the template outlives the host's next start, and can be checked. It takes time that no sandbox should wait for. Who
 * made it may have ended before this was done, so whoever uses it sees to it too, one at a time.
 */
export function keep(
  { home, background }: StartContext,
  origin: TemplateOrigin,
  delayMs = hashDelayMs,
): void {
  const { key, directory, inode, durable } = origin;
  background(async (signal) => {
    if (durable) {
      if (await hasHashes(directory)) return;
      // Whoever should have computed them ended too early. One that lives as short would only lose its time with them.
      await sleep(delayMs, undefined, { signal });
    }
    await using lock = await tryLockTemplate(home, key);
    if (lock === null) return;
    const { template } = await openTemplate(home, key);
    if (template === null || String(template.inode) !== inode) return;
    if (!template.record.durable) await markDurable(home, template, signal);
    if (!(await hasHashes(directory))) await hashTemplate(home, template, signal);
  });
}

/** Its files were opened one after another: had it been replaced meanwhile, they would not belong together. */
async function requireSame({ directory, inode }: TemplateOrigin): Promise<void> {
  const found = await lstat(directory, { bigint: true }).catch(() => null);
  if (String(found?.ino) !== inode) throw new Error("it was removed while it was restored");
}

async function orTemplateFailed<T>({ context }: StartPlan, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    context.signal.throwIfAborted();
    // A host without room, memory or processes is no fault of the template. RuntimeError: QEMU could not even be started.
    if (error instanceof RuntimeError || isShortage(error)) throw error;
    throw new TemplateFailedError(error instanceof Error ? error.message : String(error), true, {
      cause: error,
    });
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
