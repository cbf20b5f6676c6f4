import { UnsupportedOperationError } from "../../errors/index.ts";

/** Everything about a guest that depends on the processor's architecture. Guests have the host's. */
export interface Platform {
  /** As the kernel calls it (`uname -m`); also the name of the directory of guest files. */
  readonly name: "x86_64" | "aarch64";
  readonly qemuProgram: string;
  /** QEMU's `-cpu` in software emulation. */
  readonly emulatedProcessor: string;
  /** QEMU's `-machine`, without its memory backend. */
  readonly machine: string;
  /** Further options of QEMU that go with the machine. */
  readonly machineOptions: readonly string[];
  /** The kernel's name for the first serial port. */
  readonly serialConsole: string;
  readonly kernelArguments: readonly string[];
  /** The device by which the guest's kernel tells that it panicked; null where it would need PCI. */
  readonly panicDevice: string | null;
  /** `e_machine` of an ELF file for this architecture. */
  readonly elfMachine: number;
}

const platforms: Readonly<Record<string, Platform>> = {
  x64: {
    name: "x86_64",
    qemuProgram: "qemu-system-x86_64",
    // With erms (enhanced rep movsb) the guest's kernel copies by `rep movsb`, which TCG carries out byte by byte.
    emulatedProcessor: "max,-erms",
    // acpi: Debian's kernel finds virtio-mmio devices through ACPI only. pit, pic: without them its timer calibration
    // fails under TCG, and they cost nothing elsewhere.
    machine: "microvm,acpi=on,isa-serial=on,pit=on,pic=on,auto-kernel-cmdline=off",
    machineOptions: [],
    serialConsole: "ttyS0",
    // With -no-reboot every reset ends QEMU; the triple fault is the reset that works on a microvm, which has no keyboard controller.
    kernelArguments: ["reboot=t"],
    panicDevice: "pvpanic",
    elfMachine: 62,
  },
  arm64: {
    name: "aarch64",
    qemuProgram: "qemu-system-aarch64",
    emulatedProcessor: "max",
    machine: "virt,gic-version=max",
    machineOptions: ["-global", "virtio-mmio.force-legacy=false"],
    serialConsole: "ttyAMA0",
    kernelArguments: [],
    panicDevice: null,
    elfMachine: 183,
  },
};

/** @throws UnsupportedOperationError when there are no guests for this processor */
export function hostPlatform(architecture: string = process.arch): Platform {
  const platform = platforms[architecture];
  if (platform !== undefined) return platform;
  throw new UnsupportedOperationError(`microsandbox does not run on ${architecture} processors`, {
    hint: "Use a host with an x86-64 or arm64 processor.",
  });
}
