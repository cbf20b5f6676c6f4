import { qemuArguments, type TimerRange } from "./qemu/command-line.ts";
import { tieToParent } from "./qemu/lifeline.ts";
import { hostPlatform } from "./qemu/platform.ts";
import type { QemuBinary } from "./qemu/qemu-binary.ts";
import { shielded } from "./qemu/term-shield.ts";
import type { Accelerator, MachineSpec } from "./types.ts";

export interface MachineCommandOptions {
  readonly qemu: QemuBinary;
  /** From {@link measureTscKhz}; null when unknown or not needed. */
  readonly tscKhz: number | null;
  readonly timer?: TimerRange;
  /** The process that will start it, with which it ends. */
  readonly parentPid: number;
}

/**
 * What a machine is started with: program and arguments.
 *
 * @throws InvalidConfigError for a disk serial number of the wrong form
 */
export function machineCommand(
  spec: MachineSpec,
  accelerator: Accelerator,
  { qemu, tscKhz, timer, parentPid }: MachineCommandOptions,
): string[] {
  const parameters = qemuArguments(spec, {
    platform: hostPlatform(),
    accelerator,
    tscKhz,
    ...(timer === undefined ? {} : { timer }),
    seccomp: qemu.seccomp,
    hostSystem: process.platform,
  });
  return tieToParent(qemu.lifeline, parentPid, shielded(qemu.env, [qemu.path, ...parameters]));
}
