import { machineCommand } from "../../machine/machine-command.ts";
import { openingLines } from "../../machine/memory/save-restore.ts";
import { encodeControlFrame } from "../../protocol/control.ts";
import { PROTOCOL_VERSION, type Message } from "../../protocol/generated/messages.ts";
import { readSuspension } from "../../store/suspension.ts";
import { inspectTemplate } from "../../store/templates/templates.ts";
import {
  HANDOVER_FORMAT,
  type Handover,
  type NoPrelaunch,
  type Prelaunch,
  type PrelaunchOrder,
  type StartInputs,
} from "../contract/handover.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { fillOf } from "../../guest-setup/guest-fill.ts";
import { bootMessages } from "../../guest-setup/boot-messages.ts";
import { guestTscKhz, machineSpec } from "../inputs/machine-spec.ts";
import { probeInputs, type Subject } from "../inputs/probe.ts";
import { makeUpper } from "../inputs/root.ts";
import { clockFits, originOf } from "../inputs/template-key.ts";
import { copyTemplateUpper } from "../inputs/upper.ts";

/** It takes a hundredth of this, unless something has to be made first, such as a root file system. */
const longestProbeMs = 2_000;

/**
 * Finds out what a sandbox's machine is made of, and how its QEMU is going to be started when there is a template to start from.
 * Makes its upper disk then. What cannot be found out is left to the supervisor, which tells what is wrong.
 *
 * @param supervisorPid the process that will start it
 */
export async function planHandover(subject: Subject, supervisorPid: number): Promise<Handover> {
  // The supervisor waits meanwhile, and can do what takes long as well.
  const signal = AbortSignal.timeout(longestProbeMs);
  let inputs: StartInputs | null = null;
  let prelaunch: Prelaunch;
  try {
    if ((await readSuspension(subject.paths.directory)) !== null)
      prelaunch = none("it goes on where it was suspended");
    else if (subject.record.config.kernelPath === null) {
      inputs = await orNull(probeInputs(subject, signal), signal);
      prelaunch =
        inputs === null
          ? none(`it takes more than ${longestProbeMs} ms to find out what it needs`)
          : await planPrelaunch(subject, inputs, supervisorPid);
    } else prelaunch = none("its kernel is the user's own");
  } catch (error) {
    prelaunch = none(error instanceof Error ? error.message : String(error));
  }
  return { format: HANDOVER_FORMAT, protocolVersion: PROTOCOL_VERSION, prelaunch, inputs };
}

async function planPrelaunch(
  { home, record, paths }: Subject,
  { qemu, kernel, root, mounts, network, tscKhz, accelerator: settled, templates, keys }: StartInputs,
  supervisorPid: number,
): Promise<Prelaunch> {
  if (templates.kind === "barred") return none(templates.reason);
  if (settled === null || keys === null)
    return none("nobody knows yet whether this host's accelerator works");
  const { accelerator } = settled;
  const inspection = await inspectTemplate(home, keys.image ?? keys.machine);
  const khz = guestTscKhz(accelerator, tscKhz);
  // The supervisor does something about each of these, and says so.
  if (inspection.status === "missing") return none("there is no template of this shape yet");
  if (inspection.status === "damaged") return none(`its template is damaged: ${inspection.reason}`);
  const { template } = inspection;
  if (template.record.unusable !== null)
    return none(`no template is of use here: ${template.record.unusable}`);
  if (!clockFits(template.record, khz)) return none("its template's clock does not fit this host");
  const use = { memoryPath: template.paths.memory, shared: false, restored: true };
  const isFilled = (await fillOf(record, paths)) !== null;
  const order: PrelaunchOrder = {
    kind: "qemu",
    command: machineCommand(machineSpec(record, kernel, root, mounts, use), accelerator, {
      qemu,
      tscKhz: khz,
      parentPid: supervisorPid,
    }),
    isWatched: qemu.lifeline.kind === "watcher",
    statePath: template.paths.state,
    opening: openingLines(),
    bootFrames: encode(
      bootMessages(record, { mounts: mounts.guest, network }, keys.image === null ? root : null, isFilled),
    ),
    isFilled,
    mounts: { guest: mounts.guest, served: mounts.served },
    network,
    accelerator,
    template: originOf(template),
    upperPath: keys.image === null ? null : paths.upper,
  };
  if (keys.image === null) await makeUpper(root);
  else await copyTemplateUpper(root, template);
  return order;
}

function none(reason: string): NoPrelaunch {
  return { kind: "none", reason };
}

/** @returns null when the signal is aborted first */
async function orNull<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  try {
    return await unlessAborted(promise, signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function encode(messages: readonly Message[]): string {
  const frames = messages.map((message) => encodeControlFrame(0, message));
  return Buffer.concat(frames).toString("base64");
}
