import { clockFits, templateKeys } from "../inputs/template-key.ts";
import type { TemplateKeys } from "../contract/handover.ts";
import { Operation } from "../../host/operation.ts";
import { OperationTimeoutError } from "../../errors/index.ts";
import {
  lockTemplate,
  stageTemplate,
  tryLockTemplate,
  type TemplateLock,
} from "../../store/templates/template-staging.ts";
import { openTemplate, type Template } from "../../store/templates/templates.ts";
import { removeTemplate } from "../../store/templates/template-removal.ts";
import type { Home } from "../../store/home.ts";
import { bootDeadlineMs } from "../common/start-errors.ts";
import type { StartContext, StartPlan } from "../common/context.ts";
import { makeImageTemplate, makeMachineTemplate, type Made, type TemplateAtHand } from "./template-making.ts";

/** There is none to start from, and none was tried to be made. */
export interface NoTemplate {
  readonly kind: "unavailable";
  /** One clause. */
  readonly reason: string;
}

/** The best template for a sandbox, or why there is none. */
export type Obtained = Made | NoTemplate;

/** What is there under a key: `absent` when one can be made. */
type Found = TemplateAtHand | NoTemplate | { readonly kind: "absent" };

const othersTooLong: NoTemplate = {
  kind: "unavailable",
  reason: "others have been making the template for too long",
};

/** The best template for a sandbox: of its image, else of its machine; made when there is none. */
export class TemplateSource {
  readonly #plan: StartPlan;
  readonly #limitBytes: number;
  /** Until when others are waited for, whatever they make, as performance.now() says: the rest of the time is for a boot. */
  readonly #waitUntilMs = performance.now() + Math.ceil(bootDeadlineMs() / 2);

  /** @param limitBytes what all templates may take on the disk */
  constructor(plan: StartPlan, limitBytes: number) {
    this.#plan = plan;
    this.#limitBytes = limitBytes;
  }

  /** @throws IoError; what the sandbox's start fails with, with and without templates; the signal's reason */
  async obtain(): Promise<Obtained> {
    const { image: imageKey, machine: machineKey } = await this.#keys();
    // On hardware that is on trial a machine has to boot: what is restored says too little about it.
    if (this.#plan.trial.probe !== null) {
      for (const key of [imageKey, machineKey]) {
        if (key !== null && (await this.#find(key)).kind !== "absent") {
          return { kind: "unavailable", reason: "a boot has to tell whether the accelerator works" };
        }
      }
    }
    const ofImage = imageKey === null ? null : await this.#obtainImage(imageKey, machineKey);
    return ofImage === null || ofImage.kind === "unavailable"
      ? await this.#obtainMachine(machineKey)
      : ofImage;
  }

  /** Those that fit and are there, whoever made them. */
  async existing(): Promise<Template[]> {
    const { image, machine } = await this.#keys();
    const templates: Template[] = [];
    for (const key of [machine, image]) {
      const found = key === null ? null : await this.#find(key);
      if (found?.kind === "template") templates.push(found.template);
    }
    return templates;
  }

  /** Removes a template that did not work. @returns whether it was still there */
  async drop(template: Template, why: string): Promise<boolean> {
    this.#context.runtimeLog.write("warn", `dropped the template ${template.key}: ${why}`);
    return await removeTemplate(this.#home, template).catch(() => true);
  }

  async #keys(): Promise<TemplateKeys> {
    const { context, choice, keys } = this.#plan;
    return (
      keys ?? (await templateKeys({ ...this.#plan, record: context.record, accelerator: choice.accelerator }))
    );
  }

  async #obtainImage(key: string, machineKey: string): Promise<Obtained> {
    const found = await this.#find(key);
    if (found.kind !== "absent") return found;
    // Who needs two locks takes the image's first.
    await using lock = await this.#lock(key);
    if (lock === null) return othersTooLong;
    const madeByOther = await this.#find(key);
    if (madeByOther.kind !== "absent") return madeByOther;
    let machine = await this.#find(machineKey);
    if (machine.kind === "absent") {
      await using machineLock = await this.#lock(machineKey);
      if (machineLock === null) return othersTooLong;
      machine = await this.#find(machineKey);
      if (machine.kind === "absent") {
        return await makeMachineTemplate(this.#plan, machineLock, lock, this.#limitBytes);
      }
    }
    if (machine.kind === "unavailable") return machine;
    return await makeImageTemplate(this.#plan, lock, machine.template, this.#limitBytes);
  }

  async #obtainMachine(key: string): Promise<Obtained> {
    const found = await this.#find(key);
    if (found.kind !== "absent") return found;
    await using lock = await this.#lock(key);
    if (lock === null) return othersTooLong;
    const madeByOther = await this.#find(key);
    if (madeByOther.kind !== "absent") return madeByOther;
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
    const { signal } = this.#context.operation;
    const timeoutMs = Math.max(0, Math.ceil(this.#waitUntilMs - performance.now()));
    if (timeoutMs === 0) return null;
    this.#context.operation.log(`waiting for the right to make the template ${key}`);
    try {
      return await Operation.run("wait for others to make a template", { signal, timeoutMs }, (operation) =>
        lockTemplate(this.#home, key, operation.signal),
      );
    } catch (error) {
      if (signal.aborted || !(error instanceof OperationTimeoutError)) throw error;
      this.#context.runtimeLog.write("warn", "no template is used: others have been making it for too long");
      return null;
    }
  }

  async #find(key: string): Promise<Found> {
    const { template, unusable, dropped } = await openTemplate(this.#home, key);
    if (dropped !== null) {
      const what = dropped.isRemoved ? "dropped" : "did not use";
      this.#context.runtimeLog.write("warn", `${what} the template ${key}: ${dropped.reason}`);
    }
    if (unusable !== null) return { kind: "unavailable", reason: `no template is of use here: ${unusable}` };
    if (template === null) return { kind: "absent" };
    const { tscKhz } = this.#plan;
    if (clockFits(template.record, tscKhz)) {
      return { kind: "template", template, upperIsMade: false, isNew: false };
    }
    const { tscKhz: then } = template.record;
    await this.drop(
      template,
      `its clock was made for ${String(then)} kHz, the host's counts ${String(tscKhz)}`,
    );
    return { kind: "absent" };
  }

  get #context(): StartContext {
    return this.#plan.context;
  }

  get #home(): Home {
    return this.#context.home;
  }
}
