import { hostPlatform } from "../../machine/qemu/platform.ts";
import { isSameTsc } from "../../machine/accelerator/tsc.ts";
import { processorIdentity } from "../../host/system/processor.ts";
import { qemuArguments } from "../../machine/qemu/command-line.ts";
import type { Accelerator, GuestKernel } from "../../machine/types.ts";
import type { QemuBinary } from "../../machine/qemu/qemu-binary.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { smallSha256 } from "../../host/digest.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { TemplateRecord } from "../../store/templates/template-record.ts";
import type { Template } from "../../store/templates/templates.ts";
import { mountMessage } from "../../guest-setup/boot-messages.ts";
import type { PreparedNetwork, PreparedRoot, TemplateKeys, TemplateOrigin } from "../contract/handover.ts";
import { machineSpec } from "./machine-spec.ts";

/** Raised when what a template holds changes in a way that nothing below shows. */
const formatVersion = 1;

/** What templates depend on. */
export interface TemplateSubject {
  readonly record: SandboxRecord;
  readonly qemu: QemuBinary;
  readonly kernel: GuestKernel;
  readonly accelerator: Accelerator;
  readonly root: PreparedRoot;
  readonly network: PreparedNetwork | null;
}

export async function templateKeys(subject: TemplateSubject): Promise<TemplateKeys> {
  const machine = await machineKey(subject);
  return { machine, image: imageKey(subject, machine) };
}

/**
 * Of everything that the guest's memory and QEMU's devices depend on. What stands behind the devices, and names, are left out:
 * they may differ.
 */
async function machineKey({ record, qemu, kernel, accelerator }: TemplateSubject): Promise<string> {
  const spec = machineSpec(record, kernel, { disks: [], shares: [] }, { disks: [] });
  const devices = qemuArguments(
    { ...spec, name: "", kernel: { ...kernel, vmlinux: "", initramfs: "" } },
    {
      platform: hostPlatform(),
      accelerator,
      // Measured anew at every boot of the host and never quite the same: it is compared where a template is used.
      tscKhz: null,
      seccomp: false,
      hostSystem: process.platform,
    },
  );
  return keyOf([
    formatVersion,
    PROTOCOL_VERSION,
    devices,
    record.config.memoryMib,
    [qemu.identity, qemu.version],
    kernel.identity,
    accelerator === "tcg" ? "" : await processorIdentity(),
  ]);
}

function imageKey(
  { record, root, kernel, network }: TemplateSubject,
  machineTemplate: string,
): string | null {
  if (root.template === null || kernel.custom) return null;
  const { tmpSizeMib } = mountMessage(record, root, null);
  return keyOf([
    machineTemplate,
    root.template.identity,
    root.description,
    tmpSizeMib,
    network?.trust ?? null,
  ]);
}

/** Whether the clock of the template's guest goes right on this host. @param tscKhz null when the guest need not know */
export function clockFits({ tscKhz: then }: Pick<TemplateRecord, "tscKhz">, tscKhz: number | null): boolean {
  return tscKhz === null || then === null || isSameTsc(tscKhz, then);
}

/** What a machine that goes on from a template has to know of it. */
export function originOf({ key, directory, inode, record }: Template): TemplateOrigin {
  const { kind, agentVersion, kernelRelease, durable } = record;
  return { key, kind, directory, inode: String(inode), agentVersion, kernelRelease, durable };
}

function keyOf(parts: unknown): string {
  return smallSha256(JSON.stringify(parts));
}
