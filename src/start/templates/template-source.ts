import { clockFits, templateKeys, type TemplateKeys } from "./template-key.ts";
import {
  lockTemplate,
  stageTemplate,
  tryLockTemplate,
  type TemplateLock,
} from "../../store/templates/template-staging.ts";
import { openTemplate, type Template } from "../../store/templates/templates.ts";
import { removeTemplate } from "../../store/templates/template-removal.ts";
import type { Home } from "../../store/home.ts";
import { bootDeadlineMs } from "../start-errors.ts";
import type { StartContext, StartPlan } from "../start-context.ts";
import { makeImageTemplate, makeMachineTemplate, type Made } from "./template-making.ts";

/** The best template for a sandbox: of its image, else of its machine; made when there is none. */
export class TemplateSource {
  readonly #plan: StartPlan;
  readonly #limitBytes: number;
  /** Until when others are waited for, whatever they make: the rest of the time is for a boot. */
  readonly #late = AbortSignal.timeout(Math.ceil(bootDeadlineMs() / 2));

  /** @param limitBytes what all templates may take on the disk */
  constructor(plan: StartPlan, limitBytes: number) {
    this.#plan = plan;
    this.#limitBytes = limitBytes;
  }

  /**
   * @returns null when none can be made here
   * @throws IoError; what the sandbox's start fails with, with and without templates; the signal's reason
   */
  async obtain(): Promise<Made | null> {
    const { image: imageKey, machine: machineKey } = await this.#keys();
    // On hardware that is on trial a machine has to boot: what is restored says too little about it.
    if (this.#plan.trial.probe !== null) {
      for (const key of [imageKey, machineKey]) {
        if (key !== null && (await this.#find(key)) !== undefined) return null;
      }
    }
    return (
      (imageKey === null ? null : await this.#obtainImage(imageKey, machineKey)) ??
      (await this.#obtainMachine(machineKey))
    );
  }

  /** Those that fit and are there, whoever made them. */
  async existing(): Promise<Template[]> {
    const { image, machine } = await this.#keys();
    const templates: Template[] = [];
    for (const key of [machine, image]) {
      const found = key === null ? null : await this.#find(key);
      if (found !== null && found !== undefined && "template" in found) templates.push(found.template);
    }
    return templates;
  }

  /** Removes a template that did not work. @returns whether it was still there */
  async drop(template: Template, why: string): Promise<boolean> {
    this.#context.runtimeLog.write("warn", `dropped the template ${template.key}: ${why}`);
    return await removeTemplate(this.#home, template).catch(() => true);
  }

  #keys(): Promise<TemplateKeys> {
    const { context, choice } = this.#plan;
    return templateKeys({ ...this.#plan, record: context.record, accelerator: choice.accelerator });
  }

  async #obtainImage(key: string, machineKey: string): Promise<Made | null> {
    const found = await this.#find(key);
    if (found !== undefined) return found;
    // Who needs two locks takes the image's first.
    await using lock = await this.#lock(key);
    if (lock === null) return null;
    const madeByOther = await this.#find(key);
    if (madeByOther !== undefined) return madeByOther;
    let machine = await this.#find(machineKey);
    if (machine === undefined) {
      await using machineLock = await this.#lock(machineKey);
      if (machineLock === null) return null;
      machine = await this.#find(machineKey);
      if (machine === undefined) {
        return await makeMachineTemplate(this.#plan, machineLock, lock, this.#limitBytes);
      }
    }
    if (machine === null || !("template" in machine)) return machine;
    return await makeImageTemplate(this.#plan, lock, machine.template, this.#limitBytes);
  }

  async #obtainMachine(key: string): Promise<Made | null> {
    const found = await this.#find(key);
    if (found !== undefined) return found;
    await using lock = await this.#lock(key);
    if (lock === null) return null;
    const madeByOther = await this.#find(key);
    if (madeByOther !== undefined) return madeByOther;
    return await makeMachineTemplate(this.#plan, lock, null, this.#limitBytes);
  }

  /**
   * Remembers for this boot of the host that no template of this shape works. Nobody makes another one meanwhile: it would be
   * made and dropped at every start.
   */
  async giveUp({ key, record }: Template, why: string): Promise<void> {
    try {
      await using lock = await tryLockTemplate(this.#home, key);
      if (lock === null) return;
      await using staged = await stageTemplate(this.#home);
      await staged.commitUnusable(lock, record, why);
      this.#context.runtimeLog.write(
        "warn",
        `no template ${key} is made any more until the host is started anew`,
      );
    } catch (error) {
      this.#context.runtimeLog.write("warn", `cannot note that no template can be used: ${String(error)}`);
    }
  }

  /** @returns null when others take so long that it is better to boot without */
  async #lock(key: string): Promise<TemplateLock | null> {
    const { signal } = this.#context;
    if (this.#late.aborted) return null;
    try {
      return await lockTemplate(this.#home, key, AbortSignal.any([signal, this.#late]));
    } catch (error) {
      if (signal.aborted || error !== this.#late.reason) throw error;
      this.#context.runtimeLog.write("warn", "no template is used: others have been making it for too long");
      return null;
    }
  }

  /** @returns undefined when there is none; null when none can be made */
  async #find(key: string): Promise<Made | null | undefined> {
    const { template, unusable, dropped } = await openTemplate(this.#home, key);
    if (dropped !== null) this.#context.runtimeLog.write("warn", `dropped the template ${key}: ${dropped}`);
    if (unusable !== null) return null;
    if (template === null) return undefined;
    const { tscKhz } = this.#plan;
    if (clockFits(template.record, tscKhz)) return { template, upperIsMade: false, isNew: false };
    const { tscKhz: then } = template.record;
    await this.drop(
      template,
      `its clock was made for ${String(then)} kHz, the host's counts ${String(tscKhz)}`,
    );
    return undefined;
  }

  get #context(): StartContext {
    return this.#plan.context;
  }

  get #home(): Home {
    return this.#context.home;
  }
}
