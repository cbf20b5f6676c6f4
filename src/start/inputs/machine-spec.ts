import { hasNetwork } from "../../config/network/network-of.ts";
import type { Accelerator, GuestKernel, MachineSpec, TemplateUse } from "../../machine/types.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { PreparedMounts, PreparedRoot } from "../contract/handover.ts";

/** The machine of a sandbox. */
export function machineSpec(
  record: SandboxRecord,
  kernel: GuestKernel,
  { disks, shares }: Pick<PreparedRoot, "disks" | "shares">,
  mounts: Pick<PreparedMounts, "disks">,
  template?: TemplateUse,
): MachineSpec {
  const { cpus, memoryMib, thp } = record.config;
  return {
    name: `msb-${record.name}`,
    cpus,
    memoryMib,
    kernel,
    // A machine that is saved for others has only what all of them have.
    disks: template?.shared === true ? disks : [...disks, ...mounts.disks],
    shares,
    network: hasNetwork(record.config),
    kernelArguments: [`transparent_hugepage=${thp}`],
    ...(template === undefined ? {} : { template }),
  };
}

/** Only software emulation shows the guest a counter whose frequency it has to be told. */
export function guestTscKhz(accelerator: Accelerator, tscKhz: number | null): number | null {
  return accelerator === "tcg" ? tscKhz : null;
}
