import type { GuestKernel, MachineSpec, TemplateUse } from "../machine/types.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";
import type { PreparedRoot } from "./root.ts";

/** The machine of a sandbox. */
export function machineSpec(
  record: SandboxRecord,
  kernel: GuestKernel,
  { disks, shares }: Pick<PreparedRoot, "disks" | "shares">,
  template?: TemplateUse,
): MachineSpec {
  const { cpus, memoryMib, thp } = record.config;
  return {
    name: `msb-${record.name}`,
    cpus,
    memoryMib,
    kernel,
    disks,
    shares,
    kernelArguments: [`transparent_hugepage=${thp}`],
    ...(template === undefined ? {} : { template }),
  };
}
