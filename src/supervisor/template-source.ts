import { lockTemplate, openTemplate, removeTemplate, type Home, type Template } from "../store/index.ts";
import type { StartContext, StartPlan } from "./start-context.ts";
import { imageTemplateKey, machineTemplateKey } from "./template-key.ts";
import { makeImageTemplate, makeMachineTemplate, type Made } from "./template-making.ts";

/** Two measurements of the same time-stamp counter agree better than this. */
const tscTolerance = 1e-3;

/** The best template for a sandbox: of its image, else of its machine; made when there is none. */
export class TemplateSource {
  readonly #plan: StartPlan;
  readonly #limitBytes: number;

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
    const machineKey = await machineTemplateKey(this.#plan);
    const imageKey = imageTemplateKey(this.#plan, machineKey);
    return (
      (imageKey === null ? null : await this.#obtainImage(imageKey, machineKey)) ??
      (await this.#obtainMachine(machineKey))
    );
  }

  /** Removes a template that did not work. */
  async drop(template: Template, why: string): Promise<void> {
    this.#context.runtimeLog.write("warn", `dropped the template ${template.key}: ${why}`);
    await removeTemplate(this.#home, template).catch(() => undefined);
  }

  async #obtainImage(key: string, machineKey: string): Promise<Made | null> {
    const found = await this.#find(key);
    if (found !== undefined) return found;
    // Who needs two locks takes the image's first.
    await using lock = await lockTemplate(this.#home, key, this.#context.signal);
    const madeByOther = await this.#find(key);
    if (madeByOther !== undefined) return madeByOther;
    let machine = await this.#find(machineKey);
    if (machine === undefined) {
      await using machineLock = await lockTemplate(this.#home, machineKey, this.#context.signal);
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
    await using lock = await lockTemplate(this.#home, key, this.#context.signal);
    const madeByOther = await this.#find(key);
    if (madeByOther !== undefined) return madeByOther;
    return await makeMachineTemplate(this.#plan, lock, null, this.#limitBytes);
  }

  /** @returns undefined when there is none; null when none can be made */
  async #find(key: string): Promise<Made | null | undefined> {
    const { template, unusable, dropped } = await openTemplate(this.#home, key);
    if (dropped !== null) this.#context.runtimeLog.write("warn", `dropped the template ${key}: ${dropped}`);
    if (unusable !== null) return null;
    if (template === null) return undefined;
    const { tscKhz } = this.#plan;
    const { tscKhz: then } = template.record;
    if (tscKhz === null || then === null || Math.abs(tscKhz - then) <= tscKhz * tscTolerance) {
      return { template, upperIsMade: false, isNew: false };
    }
    await this.drop(template, `its clock was made for ${then} kHz, the host's counts ${tscKhz}`);
    return undefined;
  }

  get #context(): StartContext {
    return this.#plan.context;
  }

  get #home(): Home {
    return this.#context.home;
  }
}
