/** QEMU and everything that knows it: start with `machine.ts`. */
export {
  chooseAccelerator,
  probeDeadlineMs,
  rememberedVerdict,
  settledAccelerator,
  type AcceleratorChoice,
  type AcceleratorProbe,
} from "./accelerator.ts";
export { blamesAccelerator } from "./blame.ts";
export { agentPortName, qemuArguments, shareTag } from "./command-line.ts";
export { checkDiskImage } from "./disk-image.ts";
export { isDiskInUse } from "./disk-lock.ts";
export { hostAccelerators, type HostAccelerator } from "./host-accelerators.ts";
export { resolveKernel, type ResolveKernelOptions } from "./kernel.ts";
export { Machine, machineCommand, type MachineOptions } from "./machine.ts";
export { hostPlatform, type Platform } from "./platform.ts";
export { processorIdentity } from "./processor.ts";
export { findQemu, type QemuBinary } from "./qemu.ts";
export { QmpError, type QmpEvent } from "./qmp.ts";
export { openingLines } from "./save-restore.ts";
export { hasEnded, spawnQemu, type SpawnedQemu } from "./spawn.ts";
export { isSameTsc, measureTscKhz } from "./tsc.ts";
export type {
  Accelerator,
  Disk,
  GuestKernel,
  MachineExit,
  MachineSpec,
  Share,
  TemplateUse,
} from "./types.ts";
export type { Verdict } from "./verdicts.ts";
