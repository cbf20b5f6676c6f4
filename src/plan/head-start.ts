import { machineCommand, openingLines, settledAccelerator } from "../machine/index.ts";
import { lookAtTemplate, readGlobalConfig, templatesEnabled } from "../store/index.ts";
import { guestTscKhz, lookAround, type Subject } from "./look.ts";
import { machineSpec } from "./machine-spec.ts";
import { clockFits, templateKeys } from "./template-key.ts";
import { copyTemplateUpper } from "./template-upper.ts";

/**
 * A QEMU that a supervisor starts before anything else, so that both come up side by side. Whoever starts the supervisor
 * finds out how while Node comes up in it; the supervisor finds out the same again for itself meanwhile, and ends that QEMU if
 * it is not the one it would have started.
 */
export interface HeadStart {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly isWatched: boolean;
  /** The file with the saved state. */
  readonly statePath: string;
  /** What QEMU's monitor is told first. */
  readonly opening: string;
  /** The template it goes on from. */
  readonly key: string;
  /** Of the template's directory. */
  readonly inode: string;
  /** The sandbox's upper disk, when it was made for this start; else null. */
  readonly upperPath: string | null;
}

/**
 * Finds out how a sandbox's QEMU is going to be started when there is a template to start from, and makes its upper disk.
 *
 * @param supervisorPid the process that will start it
 * @returns null when there is no such template, or it takes more to find out
 * @throws as {@link lookAround} does; IoError
 */
export async function planHeadStart(subject: Subject, supervisorPid: number): Promise<HeadStart | null> {
  const { home, record } = subject;
  const settings = await readGlobalConfig(home);
  if (!templatesEnabled(process.env, settings) || record.config.kernelPath !== null) return null;
  const { qemu, kernel, root, candidates, tscKhz } = await lookAround(
    subject,
    new AbortController().signal,
    false,
  );
  const choice = await settledAccelerator({ cacheDirectory: home.cache }, qemu, kernel, candidates);
  if (choice === null) return null;
  const { accelerator } = choice;
  const keys = await templateKeys({ record, qemu, kernel, root, accelerator });
  const key = keys.image ?? keys.machine;
  const look = await lookAtTemplate(home, key);
  const khz = guestTscKhz(accelerator, tscKhz);
  // The supervisor does something about each of these, and says so.
  if (look.status !== "intact" || look.template.record.unusable !== null) return null;
  const { template } = look;
  if (!clockFits(template.record, khz)) return null;
  if (keys.image === null) await root.makeUpper();
  else await copyTemplateUpper(root, template);
  const use = { memoryPath: template.paths.memory, shared: false, restored: true };
  return {
    command: machineCommand(machineSpec(record, kernel, root, use), accelerator, {
      qemu,
      tscKhz: khz,
      parentPid: supervisorPid,
    }),
    isWatched: qemu.lifeline.kind === "watcher",
    statePath: template.paths.state,
    opening: openingLines(),
    key,
    inode: String(template.inode),
    upperPath: keys.image === null ? null : subject.paths.upper,
  };
}
