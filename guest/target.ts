/** What differs between the processor architectures that a guest can have. */
export interface GuestTarget {
  /** QEMU's name of the architecture, as in `qemu-system-x86_64`, and the folder under `dist/guest/`. */
  readonly name: string;
  readonly debianArchitecture: string;
  /** Debian's package that depends on the newest kernel package of its release. */
  readonly kernelMetaPackage: string;
  /**
   * `bzImage`: the ELF kernel is compressed inside (Documentation/arch/x86/boot.rst, `payload_offset`).
   * `Image`: what QEMU boots, perhaps compressed as a whole (Documentation/arch/arm64/booting.rst).
   */
  readonly kernelFormat: "bzImage" | "Image";
  readonly rustTarget: string;
}

const targets: Readonly<Record<string, GuestTarget>> = {
  x64: {
    name: "x86_64",
    debianArchitecture: "amd64",
    kernelMetaPackage: "linux-image-amd64",
    kernelFormat: "bzImage",
    rustTarget: "x86_64-unknown-linux-gnu",
  },
  arm64: {
    name: "aarch64",
    debianArchitecture: "arm64",
    kernelMetaPackage: "linux-image-arm64",
    kernelFormat: "Image",
    rustTarget: "aarch64-unknown-linux-gnu",
  },
};

/**
 * The guest architecture that this machine can run natively.
 *
 * @throws Error when there is none
 */
export function hostTarget(nodeArchitecture: string = process.arch): GuestTarget {
  const target = targets[nodeArchitecture];
  if (target === undefined) {
    throw new Error(
      `no guest can be built for the architecture "${nodeArchitecture}": x64 and arm64 are supported`,
    );
  }
  return target;
}
