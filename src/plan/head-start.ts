import { machineCommand, openingLines, settledAccelerator, type Accelerator } from "../machine/index.ts";
import { encodeFrame, FrameKind } from "../protocol/frame.ts";
import { encodeMessage, PROTOCOL_VERSION, type Message } from "../protocol/messages.generated.ts";
import {
  lookAtTemplate,
  readGlobalConfig,
  templateLimitBytes,
  templatesEnabled,
  type Template,
  type TemplateRecord,
} from "../store/index.ts";
import { introduction } from "./introduction.ts";
import { guestTscKhz, lookAround, type Subject } from "./look.ts";
import { machineSpec } from "./machine-spec.ts";
import { clockFits, templateKeys } from "./template-key.ts";
import { copyTemplateUpper } from "./template-upper.ts";

const bytesPerMib = 1024 * 1024;

/**
 * A QEMU that a supervisor starts before anything else, so that both come up side by side: how to start it, and what to tell it.
 * Whoever starts the supervisor finds that out while Node comes up in it. The supervisor finds out more only when this comes to
 * nothing.
 */
export interface HeadStart {
  /** Of the guest's agent, and of whoever has written this. */
  readonly protocolVersion: number;
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly isWatched: boolean;
  /** The file with the saved state. */
  readonly statePath: string;
  /** What QEMU's monitor is told first. */
  readonly opening: string;
  /** What the guest is told, in base64. */
  readonly introduction: string;
  readonly accelerator: Accelerator;
  readonly template: TemplateOrigin;
  /** The sandbox's upper disk, when it was made for this start; else null. */
  readonly upperPath: string | null;
}

/** The template that a machine goes on from. */
export interface TemplateOrigin {
  readonly key: string;
  readonly kind: TemplateRecord["kind"];
  readonly directory: string;
  /** Of the directory. */
  readonly inode: string;
  /** What its agent said when it was saved. */
  readonly agentVersion: string;
  readonly kernelRelease: string;
  /** All of it is on the disk for certain, and its hashes too. */
  readonly durable: boolean;
}

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
  if (!templatesEnabled(process.env, settings) || record.config.kernelPath !== null) return null;
  if (record.config.memoryMib * bytesPerMib > templateLimitBytes(settings)) return null;
  const { qemu, kernel, root, candidates, tscKhz } = await lookAround(subject, new AbortController().signal);
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

function encode(messages: readonly Message[]): string {
  const frames = messages.map((message) => encodeFrame(0, FrameKind.control, encodeMessage(message)));
  return Buffer.concat(frames).toString("base64");
}
