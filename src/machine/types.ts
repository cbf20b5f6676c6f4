/** A block device of the guest. */
export interface Disk {
  /** Absolute path on the host. */
  readonly path: string;
  readonly format: "raw" | "qcow2" | "vmdk";
  readonly readOnly: boolean;
  /** How the guest finds the disk; at most 20 bytes of ASCII (virtio 1.2, 5.2.6.4 VIRTIO_BLK_T_GET_ID). */
  readonly serial: string;
}

/**
 * A directory of the host that the guest sees through virtio-9p. What the guest makes in it is made on the host, with the
 * type, the permission bits and the symbolic links that it has in the guest. Owners are kept when this process is root, and
 * so are set-user-ID bits and device nodes: the directory is then as trustworthy as the guest. Of another user's process
 * everything belongs to that user, in the guest too, and chown fails with EPERM. A link's target is looked up in the guest,
 * never on the host.
 */
export interface Share {
  /** Absolute path on the host. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** The files a guest boots from. */
export interface GuestKernel {
  /** An ELF kernel with a PVH entry, a bzImage, or an arm64 Image. */
  readonly vmlinux: string;
  /** A cpio archive whose `/init` is the agent. */
  readonly initramfs: string;
  /** The agent built for this host, which can also be run here; null when the guest files come without one. */
  readonly agentPath: string | null;
  /** Chosen by the user rather than built by this package. */
  readonly custom: boolean;
  /** Changes whenever what is booted changes: kernel or initramfs. */
  readonly identity: string;
}

/** What runs the guest's instructions: the hardware through Linux or macOS, or QEMU's software emulation. */
export type Accelerator = "kvm" | "hvf" | "tcg";

/** A machine whose memory is a file, because it is saved or restored. */
export interface TemplateUse {
  /** Of the size of the memory. */
  readonly memoryPath: string;
  /** Whether what the guest writes goes into the file, as it must for {@link Machine.save}, or is its own. */
  readonly shared: boolean;
  /** Goes on from a saved state instead of booting. */
  readonly restored: boolean;
  /** That state was captured while its machine went on ({@link Machine.capture}). */
  readonly captured?: boolean;
}

/** The shape of one virtual machine. */
export interface MachineSpec {
  /** Shown by `ps` as QEMU's `-name`; `microsandbox` when it is missing. */
  readonly name?: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly kernel: GuestKernel;
  /** At most {@link diskSlots}. What is not used is there all the same, with nothing behind it. */
  readonly disks: readonly Disk[];
  /** At most {@link shareSlots}; the guest finds each by its {@link shareTag}. None when it is missing. */
  readonly shares?: readonly Share[];
  /** Whether there is a network card; its cable ends at this process's {@link Machine.networkPort}. None when it is missing. */
  readonly network?: boolean;
  /** None when it is missing: memory that nobody else sees. */
  readonly template?: TemplateUse;
  /** Added at the end of the kernel's command line, such as `transparent_hugepage=madvise`. */
  readonly kernelArguments: readonly string[];
}

/** How a machine ended. */
export interface MachineExit {
  /** QEMU's exit code; null when a signal ended it or it never ran. */
  readonly code: number | null;
  readonly signal: string | null;
  /**
   * `poweroff`: the guest powered off. `reset`: the guest rebooted, which ends a machine. `panic`: its kernel gave up.
   * `killed`: someone ended QEMU, or told it to quit. `error`: QEMU failed or could not be run.
   */
  readonly reason: "poweroff" | "reset" | "panic" | "killed" | "error";
  /** One sentence for a person. */
  readonly detail: string;
  /** The end of what QEMU wrote to its standard output and error, at most 8 KiB. */
  readonly qemuOutput: string;
}
