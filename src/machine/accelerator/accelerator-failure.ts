import { isDiskInUse } from "../disks/disk-lock.ts";
import type { Accelerator, MachineExit } from "../types.ts";

/**
 * Whether a boot that ended before the guest's first sign of life says something against the accelerator. A machine that
 * was killed at its deadline does, and one that reset itself; QEMU's own errors do when they speak of the accelerator, not
 * when the host has too little memory or a limit is exceeded.
 */
export function isAcceleratorFailure(accelerator: Accelerator, exit: MachineExit): boolean {
  switch (exit.reason) {
    case "killed":
    case "reset":
      return true;
    case "panic":
    case "poweroff":
      return false;
    case "error": {
      const words = `${exit.detail}\n${exit.qemuOutput}`;
      return (
        !isDiskInUse(words) &&
        new RegExp(`\\b${accelerator}|\\bMSR\\b|accelerat`, "i").test(words) &&
        !/SMP CPUs|maxcpus/i.test(words)
      );
    }
  }
}
