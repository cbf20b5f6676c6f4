import { execFile } from "node:child_process";
import { copyFile, open, statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { BootStartError, IoError, OperationTimeoutError } from "../../errors/index.ts";
import { QmpError } from "../../machine/qmp/qmp.ts";
import type { GuestKernel } from "../../machine/types.ts";
import { mountMessage, usualNetwork } from "../../guest-setup/boot-messages.ts";
import { makeUpper } from "../inputs/root.ts";
import { originOf } from "../inputs/template-key.ts";
import { Operation } from "../../host/operation.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { evictTemplates, listTemplates } from "../../store/templates/template-eviction.ts";
import { ioError } from "../../host/system-error.ts";
import { packExtents, type Extent } from "../../host/files/extents.ts";
import {
  stageTemplate,
  type StagedTemplate,
  type TemplateLock,
} from "../../store/templates/template-staging.ts";
import type { Template } from "../../store/templates/templates.ts";
import type { TemplateDetails } from "../../store/templates/template-record.ts";
import { bootToHello, endedBy, within } from "../common/boot.ts";
import { unlessOver, type StartContext, type StartedMachine, type StartPlan } from "../common/context.ts";
import { makingLimit, restoreDeadlineMs } from "../common/start-errors.ts";
import { keep, spawnRestored } from "./template-restore.ts";

const bytesPerMib = 1024 * 1024;

/** A template to start from. */
export interface TemplateAtHand {
  readonly kind: "template";
  readonly template: Template;
  /** The sandbox's upper disk is the one that the template was saved with. */
  readonly upperIsMade: boolean;
  readonly isNew: boolean;
}

/** None could be made, or the one that it was to be made from does not work. */
export interface TemplateNotMade {
  readonly kind: "failed";
  /** One clause. */
  readonly reason: string;
  /** The template whose fault it is; null when it is no template's. */
  readonly from: Template | null;
}

/** What came of making a template. */
export type Made = TemplateAtHand | TemplateNotMade;

/**
 * Boots a machine, and makes a machine template of it. With `imageLock` it then mounts the root file system and makes an image
 * template too. Ends the machine, whatever happens.
 */
export async function makeMachineTemplate(
  plan: StartPlan,
  lock: TemplateLock,
  imageLock: TemplateLock | null,
  limitBytes: number,
): Promise<Made> {
  const { context } = plan;
  await makeUpper(plan.root);
  await using staged = await stageTemplate(context.home);
  await makeMemoryFile(plan, staged.paths.memory, imageLock === null ? 1 : 2);
  const use = { memoryPath: staged.paths.memory, shared: true, restored: false };
  let started: StartedMachine;
  try {
    started = await bootToHello(plan, { template: use, limit: makingLimit(context.operation) });
  } catch (error) {
    // About memory: such as a file system whose files cannot be mapped, or a disk that has become full meanwhile.
    if (isAboutMemory(error) || tookTooLong(context, error)) return notMade(error.message);
    throw error;
  }
  await using _machine = started.machine;
  const details = await detailsOf(plan, started, "machine");
  const refused = await save(plan, started, staged, lock, details);
  if (refused !== null) return notMade(refused);
  if (imageLock === null) {
    await end(started);
    return await commit(plan, staged, lock, details, limitBytes);
  }
  // This machine goes on in its file of memory, so what was saved needs a copy of it.
  await using machine = await stageTemplate(context.home);
  await copySparse(staged.paths.memory, machine.paths.memory);
  await copyState(staged.paths.state, machine.paths.state);
  await started.machine.resume();
  await commit(plan, machine, lock, details, limitBytes);
  return await mountAndSave(plan, started, { staged, lock: imageLock }, limitBytes);
}

/**
 * Restores a machine template in a copy of its memory, mounts the root file system, and makes an image template of that. Ends
 * the machine, whatever happens.
 */
export async function makeImageTemplate(
  plan: StartPlan,
  lock: TemplateLock,
  from: Template,
  limitBytes: number,
): Promise<Made> {
  const { context } = plan;
  const { signal } = context.operation;
  await makeUpper(plan.root);
  await using staged = await stageTemplate(context.home);
  await requireSpace(context, 1, from.key);
  await copySparse(from.paths.memory, staged.paths.memory);
  context.progress("restore");
  const started = await spawnRestored(plan, from, { memoryPath: staged.paths.memory, shared: true });
  await using _machine = started.machine;
  try {
    // Who answers was restored well: what goes wrong later is not the template's fault.
    const answer = (): Promise<void> => started.machine.ready.then(() => started.agent.ping());
    await Operation.run("restore", { signal, timeoutMs: restoreDeadlineMs() }, (operation) =>
      unlessOver(answer(), started.machine, operation),
    );
  } catch (error) {
    const startError = await endedBy(context, started, "build_vm", error);
    // Nothing is left of the start's time: no reason to blame the template.
    if (signal.aborted) throw startError;
    return notMade(startError.message, from);
  }
  return await mountAndSave(plan, started, { staged, lock }, limitBytes);
}

function notMade(reason: string, from: Template | null = null): TemplateNotMade {
  return { kind: "failed", reason, from };
}

/** Whether QEMU failed because its memory is a file. */
function isAboutMemory(error: unknown): error is BootStartError {
  return (
    error instanceof BootStartError &&
    /memory|mem-path|mmap|SIGBUS/.test(`${error.message}\n${error.qemuOutput}`)
  );
}

/** Whether a guest only took longer than the making of a template may: there is time for one without. */
function tookTooLong({ operation }: StartContext, error: unknown): error is BootStartError {
  return (
    error instanceof BootStartError &&
    error.cause instanceof OperationTimeoutError &&
    !operation.signal.aborted
  );
}

interface ImageInTheMaking {
  readonly staged: StagedTemplate;
  readonly lock: TemplateLock;
}

async function mountAndSave(
  plan: StartPlan,
  started: StartedMachine,
  { staged, lock }: ImageInTheMaking,
  limitBytes: number,
): Promise<Made> {
  const { context, kernel, root, network } = plan;
  const { machine, agent } = started;
  context.progress("guest");
  const limit = makingLimit(context.operation);
  try {
    agent.seed();
    agent.setClock();
    const cable = network === null ? null : usualNetwork(network.families);
    const saved = { programs: root.template?.programs ?? [], trust: network?.trust ?? null };
    const mount = mountMessage(context.record, root, cable, saved);
    await within(context.operation, limit, (operation) => unlessOver(agent.mount(mount), machine, operation));
  } catch (error) {
    const startError = await endedBy(context, started, "build_vm", error, limit);
    if (tookTooLong(context, startError)) return notMade(startError.message);
    throw startError;
  }
  const details = await detailsOf(plan, started, "image");
  const refused = await save(plan, started, staged, lock, details);
  if (refused !== null) return notMade(refused);
  await end(started);
  const upperPath = root.template?.upperPath ?? null;
  if (upperPath !== null) {
    await packExtents(upperPath, staged.paths.upper, await dataExtents(kernel, upperPath));
  }
  return await commit(plan, staged, lock, details, limitBytes);
}

/** @returns null when the machine was saved, and stands still; else why not */
async function save(
  { context }: StartPlan,
  { machine }: StartedMachine,
  staged: StagedTemplate,
  lock: TemplateLock,
  details: TemplateDetails,
): Promise<string | null> {
  // It takes milliseconds, and a machine that cannot be saved is booted once more.
  const timeoutMs = restoreDeadlineMs();
  const { signal } = context.operation;
  context.operation.log(`saving the machine for a template of the ${details.kind}`);
  try {
    await Operation.run("save", { signal, timeoutMs }, (operation) =>
      unlessOver(machine.save(staged.paths.state, staged.socket), machine, operation),
    );
    return null;
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof OperationTimeoutError && !signal.aborted)
      return `the machine was not saved within ${timeoutMs} ms`;
    const why = error instanceof Error ? error.message : String(error);
    // A machine that QEMU cannot save now it cannot save the next time either. Anything else may pass.
    if (error instanceof QmpError && error.qmpClass !== null) {
      await staged.commitUnusable(lock, details, why).catch(() => undefined);
    }
    return why;
  }
}

async function copyState(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (error) {
    throw ioError(`copy ${from}`, error);
  }
}

async function commit(
  { context }: StartPlan,
  staged: StagedTemplate,
  lock: TemplateLock,
  details: TemplateDetails,
  limitBytes: number,
): Promise<Made> {
  const template = await staged.commit(lock, details, limitBytes);
  if (template === null) return notMade("it is larger than all templates may be");
  context.runtimeLog.write("info", `made the ${details.kind} template ${template.key}`);
  keep(context, originOf(template));
  // Whoever waits for it need not wait for this sandbox.
  await lock.release();
  return { kind: "template", template, upperIsMade: details.kind === "image", isNew: true };
}

async function end({ machine }: StartedMachine): Promise<void> {
  machine.kill();
  await machine.exited;
}

/** As long as the guest's memory, and nothing but a hole. */
async function makeMemoryFile({ context }: StartPlan, path: string, copies: number): Promise<void> {
  await requireSpace(context, copies);
  try {
    await using file = await open(path, "wx", 0o600);
    await file.truncate(context.record.config.memoryMib * bytesPerMib);
  } catch (error) {
    throw ioError(`create ${path}`, error);
  }
}

/**
 * A guest whose memory is a file ends at once when the disk has no room for what it writes. So there must be room for all of
 * it; the templates that were not used for longest make some, if they have enough.
 *
 * @param copies how often the memory is going to be written
 * @param keep the key of a template that stays
 * @throws IoError
 */
async function requireSpace({ home, record }: StartContext, copies: number, keep?: string): Promise<void> {
  const needed = copies * record.config.memoryMib * bytesPerMib;
  const short = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(home.templates);
    return needed - bavail * bsize;
  };
  const missing = await short();
  if (missing <= 0) return;
  const used = (await listTemplates(home)).reduce(
    (sum, { key, diskBytes }) => (key === keep ? sum : sum + diskBytes),
    0,
  );
  if (used >= missing) await evictTemplates(home, used - missing, keep);
  if ((await short()) <= 0) return;
  throw new IoError(`${home.templates} has less room than a guest of ${record.config.memoryMib} MiB needs`, {
    hint: "Free some space.",
  });
}

async function detailsOf(
  { context, qemu, choice, root, tscKhz }: StartPlan,
  { agent }: StartedMachine,
  kind: "machine" | "image",
): Promise<TemplateDetails> {
  const { agentVersion, kernelRelease } = await agent.hello;
  const { cpus, memoryMib } = context.record.config;
  const image = kind === "image" ? root.template : null;
  return {
    kind,
    description: {
      kernel: kernelRelease,
      qemuVersion: qemu.version,
      accelerator: choice.accelerator,
      cpus,
      memoryMib,
      image: image?.reference ?? null,
      rootDisk: image?.rootDisk ?? null,
    },
    agentVersion,
    kernelRelease,
    tscKhz,
  };
}

/** Where a sparse file has data, as the agent finds out when it is run here; undefined where it cannot. */
async function dataExtents({ agentPath }: GuestKernel, path: string): Promise<Extent[] | undefined> {
  if (agentPath === null || process.platform !== "linux") return undefined;
  try {
    const { stdout } = await promisify(execFile)(agentPath, ["--data-extents", path]);
    return stdout
      .trimEnd()
      .split("\n")
      .filter((line) => line !== "")
      .map((line): Extent => {
        const [offset = 0, length = 0] = line.split(" ").map(Number);
        return [offset, length];
      });
  } catch {
    return undefined;
  }
}
