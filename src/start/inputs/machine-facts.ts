import { smallSha256 } from "../../host/digest.ts";
import { processorIdentity, processorModel } from "../../host/system/processor.ts";
import type { Accelerator } from "../../machine/types.ts";
import type { PreparedMounts } from "../contract/handover.ts";
import { templateKeys, type TemplateSubject } from "./template-key.ts";

/** What the memory of a machine can be used with. */
export interface MachineFacts {
  /** Of everything that it depends on: the key of the machine template that it could be. */
  readonly machineKey: string;
  readonly accelerator: Accelerator;
  readonly qemuVersion: string;
  /** Of the guest's kernel and agent: SHA-256. */
  readonly kernel: string;
  /** The host's, where the guest sees it; null: it sees an emulated one. */
  readonly processor: { readonly model: string; readonly identity: string } | null;
  /** Of the authority that the guest believes, as SHA-256; null: none. */
  readonly authority: string | null;
  /** Of the host's time-stamp counter as the guest was told, kHz; null when it was not. */
  readonly tscKhz: number | null;
  /** Paths of the disks that it writes to. */
  readonly disks: readonly string[];
  /** Where files of the host or of a program are in the guest; null: nowhere. */
  readonly files: string | null;
}

export async function machineFacts(
  subject: TemplateSubject & { readonly tscKhz: number | null; readonly mounts: PreparedMounts },
): Promise<MachineFacts> {
  const { accelerator, qemu, kernel, network, tscKhz, root, mounts } = subject;
  const { machine } = await templateKeys(subject);
  const pem = network?.trust?.authority ?? null;
  const authority = pem === null ? null : smallSha256(pem);
  const disks = [...root.disks, ...mounts.disks].filter(({ readOnly }) => !readOnly).map(({ path }) => path);
  const files =
    root.shares.length > 0 ? "/" : (mounts.guest.find((mount) => mount.files !== null)?.path ?? null);
  return {
    ...{ machineKey: machine, accelerator, qemuVersion: qemu.version, authority, tscKhz, disks, files },
    kernel: smallSha256(kernel.identity),
    processor:
      accelerator === "tcg"
        ? null
        : { model: processorModel(), identity: smallSha256(await processorIdentity()) },
  };
}
