import { machineCommand } from "../../machine/machine.ts";
import { openingLines } from "../../machine/memory/save-restore.ts";
import { settledAccelerator } from "../../machine/accelerator/accelerator.ts";
import { encodeFrame, FrameKind } from "../../protocol/frame.ts";
import { encodeMessage, PROTOCOL_VERSION, type Message } from "../../protocol/generated/messages.ts";
import { lookAtTemplate, type Template } from "../../store/templates/templates.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import { whyNoTemplates } from "../../store/templates/template-settings.ts";
import { HEAD_START_FORMAT, type HeadStart, type TemplateOrigin } from "./head-start-format.ts";
import { introduction } from "../../guest-setup/introduction.ts";
import { guestTscKhz, lookAround, type Subject, type Surroundings } from "../inputs.ts";
import { machineSpec } from "../machine-spec.ts";
import { clockFits, templateKeys } from "../templates/template-key.ts";
import { copyTemplateUpper } from "../templates/template-upper.ts";

/** It takes a hundredth of this, unless something has to be made first, such as a root file system. */
const longestLookMs = 2_000;

export function originOf({ key, directory, inode, record }: Template): TemplateOrigin {
  const { kind, agentVersion, kernelRelease, durable } = record;
  return { key, kind, directory, inode: String(inode), agentVersion, kernelRelease, durable };
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
  if (whyNoTemplates(process.env, settings, record.config.memoryMib) !== null) return null;
  if (record.config.kernelPath !== null) return null;
  const found = await lookBriefly(subject);
  if (found === null) return null;
  const { qemu, kernel, root, candidates, tscKhz } = found;
  const choice = await settledAccelerator({ cacheDirectory: home.cache }, qemu, kernel, candidates);
  if (choice === null) return null;
  const { accelerator } = choice;
  const keys = await templateKeys({ record, qemu, kernel, root, accelerator });
  const key = keys.image ?? keys.machine;
  const look = await lookAtTemplate(home, key);
  const khz = guestTscKhz(accelerator, tscKhz);
  // The supervisor does something about each of these, and says so.
  if (look.status !== "intact") return null;
  const { template } = look;
  if (template.record.unusable !== null || !clockFits(template.record, khz)) return null;
  if (keys.image === null) await root.makeUpper();
  else await copyTemplateUpper(root, template);
  const use = { memoryPath: template.paths.memory, shared: false, restored: true };
  return {
    format: HEAD_START_FORMAT,
    protocolVersion: PROTOCOL_VERSION,
    command: machineCommand(machineSpec(record, kernel, root, use), accelerator, {
      qemu,
      tscKhz: khz,
      parentPid: supervisorPid,
    }),
    isWatched: qemu.lifeline.kind === "watcher",
    statePath: template.paths.state,
    opening: openingLines(),
    introduction: encode(introduction(record, keys.image === null ? root : null)),
    accelerator,
    template: originOf(template),
    upperPath: keys.image === null ? null : subject.paths.upper,
  };
}

/** The supervisor waits meanwhile, and can do what takes long as well. @returns null when it takes long */
async function lookBriefly(subject: Subject): Promise<Surroundings | null> {
  const signal = AbortSignal.timeout(longestLookMs);
  const late = new Promise<null>((resolve) => {
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
  const found = lookAround(subject, signal);
  found.catch(() => undefined);
  return await Promise.race([found, late]);
}

function encode(messages: readonly Message[]): string {
  const frames = messages.map((message) => encodeFrame(0, FrameKind.control, encodeMessage(message)));
  return Buffer.concat(frames).toString("base64");
}
