import { open, rename, rm } from "node:fs/promises";
import { IoError } from "../errors/index.ts";
import { Machine } from "../machine/index.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.generated.ts";
import {
  lockTemplate,
  openTemplate,
  removeTemplate,
  unpackExtents,
  type Home,
  type Template,
} from "../store/index.ts";
import { endedBy, introduce, linkTo } from "./cold-start.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import { machineSpec, type StartContext, type StartedMachine, type StartPlan } from "./start-context.ts";
import { restoreDeadlineMs } from "./start-errors.ts";
import { imageTemplateKey, machineTemplateKey } from "./template-key.ts";
import { makeImageTemplate, makeMachineTemplate, type Made } from "./template-making.ts";

const bytesPerMib = 1024 * 1024;
/** Two measurements of the same time-stamp counter agree better than this. */
const tscTolerance = 1e-3;

/**
 * Starts a sandbox from a template, which is made first when there is none.
 *
 * @param limitBytes what all templates may take on the disk
 * @returns null when it has to be started without
 * @throws BootStartError, InvalidConfigError for what is wrong with or without templates; the signal's reason
 */
export async function startFromTemplate(plan: StartPlan, limitBytes: number): Promise<StartedMachine | null> {
  if (plan.context.record.config.memoryMib * bytesPerMib > limitBytes) return null;
  const machineKey = await machineTemplateKey(plan);
  const imageKey = imageTemplateKey(plan, machineKey);
  const templates = new TemplateStart(plan, limitBytes, machineKey);
  try {
    return (
      (imageKey === null ? null : await templates.fromImage(imageKey)) ?? (await templates.fromMachine())
    );
  } catch (error) {
    if (error instanceof TemplateFailedError) return null;
    if (!(error instanceof IoError)) throw error;
    // A disk that is full, or cannot be written: what can be done without templates is done.
    plan.context.runtimeLog.write("warn", `no template is used: ${error.message}`);
    return null;
  }
}

/** A template did not work, and is gone. The sandbox has to be booted. */
class TemplateFailedError extends Error {}

class TemplateStart {
  readonly #plan: StartPlan;
  readonly #limitBytes: number;
  readonly #machineKey: string;

  constructor(plan: StartPlan, limitBytes: number, machineKey: string) {
    this.#plan = plan;
    this.#limitBytes = limitBytes;
    this.#machineKey = machineKey;
  }

  /** @returns null when no template of the image can be made here */
  async fromImage(key: string): Promise<StartedMachine | null> {
    const found = await this.#find(key);
    if (found !== undefined) return await this.#start(found, false);
    await using lock = await lockTemplate(this.#home, key, this.#context.signal);
    const madeByOther = await this.#find(key);
    if (madeByOther !== undefined) {
      await lock.release();
      return await this.#start(madeByOther, false);
    }
    const machine = await this.#find(this.#machineKey);
    if (machine === null) return null;
    if (machine !== undefined) {
      return await this.#finish(await makeImageTemplate(this.#plan, lock, machine, this.#limitBytes));
    }
    await using machineLock = await lockTemplate(this.#home, this.#machineKey, this.#context.signal);
    const machineMadeByOther = await this.#find(this.#machineKey);
    if (machineMadeByOther === null) return null;
    return await this.#finish(
      machineMadeByOther === undefined
        ? await makeMachineTemplate(this.#plan, machineLock, lock, this.#limitBytes)
        : await makeImageTemplate(this.#plan, lock, machineMadeByOther, this.#limitBytes),
    );
  }

  /** @returns null when no template of the machine can be made here */
  async fromMachine(): Promise<StartedMachine | null> {
    const found = await this.#find(this.#machineKey);
    if (found !== undefined) return await this.#start(found, false);
    await using lock = await lockTemplate(this.#home, this.#machineKey, this.#context.signal);
    const madeByOther = await this.#find(this.#machineKey);
    if (madeByOther !== undefined) {
      await lock.release();
      return await this.#start(madeByOther, false);
    }
    return await this.#finish(await makeMachineTemplate(this.#plan, lock, null, this.#limitBytes));
  }

  get #context(): StartContext {
    return this.#plan.context;
  }

  get #home(): Home {
    return this.#context.home;
  }

  /** @returns undefined when there is none; null when none can be made */
  async #find(key: string): Promise<Template | null | undefined> {
    const { template, unusable, dropped } = await openTemplate(this.#home, key);
    if (dropped !== null) this.#context.runtimeLog.write("warn", `dropped the template ${key}: ${dropped}`);
    if (unusable !== null) return null;
    if (template === null) return undefined;
    const { tscKhz } = this.#plan;
    const { tscKhz: then } = template.record;
    if (tscKhz === null || then === null || Math.abs(tscKhz - then) <= tscKhz * tscTolerance) return template;
    await this.#drop(template, `its clock was made for ${then} kHz, the host has ${tscKhz}`);
    return undefined;
  }

  async #drop(template: Template, why: string): Promise<void> {
    this.#context.runtimeLog.write("warn", `dropped the template ${template.key}: ${why}`);
    await removeTemplate(this.#home, template).catch(() => undefined);
  }

  async #finish(made: Made): Promise<StartedMachine> {
    if ("started" in made) return made.started;
    if ("failed" in made) {
      if (made.from !== null) await this.#drop(made.from, made.failed);
      else this.#context.runtimeLog.write("warn", `no template is made: ${made.failed}`);
      await this.#removeUpper();
      throw new TemplateFailedError(made.failed);
    }
    const started = await this.#start(made.template, made.upperIsMade);
    if (started === null) throw new TemplateFailedError("none can be made");
    return started;
  }

  async #start(template: Template | null, upperIsMade: boolean): Promise<StartedMachine | null> {
    if (template === null) return null;
    // The hardware is on trial in this boot of the host, and a restored guest says too little about it.
    if (this.#plan.choice.probe !== null) throw new TemplateFailedError("the accelerator is on trial");
    try {
      await this.#makeUpper(template, upperIsMade);
    } catch (error) {
      throw await this.#failed(template, error);
    }
    return await this.#restore(template);
  }

  async #makeUpper({ record, paths }: Template, isMade: boolean): Promise<void> {
    const { root } = this.#plan;
    if (record.kind === "machine") {
      await root.makeUpper();
      return;
    }
    const upperPath = root.template?.upperPath ?? null;
    if (isMade || upperPath === null) return;
    // Aside first: a disk that was cut short by a kill must not be taken for the sandbox's own.
    const aside = `${upperPath}.new`;
    await rm(aside, { force: true });
    await unpackExtents(paths.upper, aside);
    await rename(aside, upperPath);
  }

  async #restore(template: Template): Promise<StartedMachine> {
    const plan = this.#plan;
    const { context, choice, qemu, tscKhz } = plan;
    const { agentVersion, kernelRelease, kind } = template.record;
    context.progress("restore");
    let started: StartedMachine;
    try {
      await using state = await open(template.paths.state);
      const startedAtMs = performance.now();
      const use = { memoryPath: template.paths.memory, shared: false, restored: true };
      const machine = Machine.start(machineSpec(plan, use), choice.accelerator, {
        qemu,
        tscKhz,
        stateFd: state.fd,
      });
      context.kernelLog.follow(machine.console);
      const hello = {
        type: "AgentHello",
        protocolVersion: PROTOCOL_VERSION,
        agentVersion,
        kernelRelease,
      } as const;
      started = linkTo(plan, machine, startedAtMs, hello);
    } catch (error) {
      throw await this.#failed(template, error);
    }
    try {
      const deadline = AbortSignal.timeout(restoreDeadlineMs());
      await introduce(plan, started, kind === "image", deadline);
      return started;
    } catch (error) {
      const told = await endedBy(plan, started, "build_vm", error);
      // What the guest itself says, and what is wrong with the sandbox's own files, would be so without a template too.
      if (error instanceof GuestBootError || told.name === "InvalidConfigError") throw told;
      throw await this.#failed(template, told);
    }
  }

  async #failed(template: Template, error: unknown): Promise<TemplateFailedError> {
    const why = error instanceof Error ? error.message : String(error);
    await this.#drop(template, why);
    await this.#removeUpper();
    return new TemplateFailedError(why);
  }

  /** What another guest has written to it is not a beginning. One that was there before is the sandbox's own, and stays. */
  async #removeUpper(): Promise<void> {
    const upperPath = this.#plan.root.template?.upperPath ?? null;
    if (upperPath !== null) await rm(upperPath, { force: true });
  }
}
