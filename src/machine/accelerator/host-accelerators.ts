import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { errorCode } from "../../host/system-error.ts";
import type { Accelerator } from "../types.ts";

/** One way in which this host may run guests. */
export interface HostAccelerator {
  readonly accelerator: Accelerator;
  /** It can be opened. Whether a guest really boots with it is found out by the first boot. */
  readonly usable: boolean;
  /** Why it is usable or not, one clause. */
  readonly detail: string;
  /** What to do to be able to use it; empty when it is usable or nothing can be done. */
  readonly fix: string;
}

/** The accelerators of this host's operating system, the best one first; software emulation is always the last. */
export async function hostAccelerators(): Promise<HostAccelerator[]> {
  const software: HostAccelerator = {
    accelerator: "tcg",
    usable: true,
    detail:
      "software emulation works everywhere, but it is slow and QEMU's makers promise no isolation with it",
    fix: "",
  };
  if (process.platform === "linux") return [await inspectKvm("/dev/kvm"), software];
  if (process.platform === "darwin") return [await inspectHvf(), software];
  return [software];
}

/** @param device `/dev/kvm` */
export async function inspectKvm(device: string): Promise<HostAccelerator> {
  try {
    await (await open(device, "r+")).close();
    return { accelerator: "kvm", usable: true, detail: `${device} can be opened`, fix: "" };
  } catch (error) {
    return { accelerator: "kvm", usable: false, ...explain(device, error) };
  }
}

function explain(device: string, error: unknown): Pick<HostAccelerator, "detail" | "fix"> {
  const code = errorCode(error);
  if (code === "EACCES" || code === "EPERM") {
    return {
      detail: `${device} exists, but this user may not use it (${code})`,
      fix: "Add yourself to the group kvm (`sudo usermod -aG kvm $USER`) and log in again.",
    };
  }
  if (code === "ENOENT") {
    return {
      detail: `there is no ${device}`,
      fix: "Switch on virtualization in the firmware, or nested virtualization for a virtual host, and load the module kvm_intel or kvm_amd.",
    };
  }
  return {
    detail: `${device} cannot be opened (${code ?? String(error)})`,
    fix: "Load the kernel module kvm_intel or kvm_amd; `dmesg | grep -i kvm` tells why it does not work.",
  };
}

async function inspectHvf(): Promise<HostAccelerator> {
  try {
    const { stdout } = await promisify(execFile)("sysctl", ["-n", "kern.hv_support"]);
    if (stdout.trim() === "1") {
      return { accelerator: "hvf", usable: true, detail: "the Hypervisor framework is available", fix: "" };
    }
  } catch {
    // Told below: without an answer there is no framework.
  }
  return { accelerator: "hvf", usable: false, detail: "macOS offers no Hypervisor framework here", fix: "" };
}
