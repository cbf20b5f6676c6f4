import { findQemu, type QemuBinary } from "../machine/qemu/qemu-binary.ts";
import { hostAccelerators, type HostAccelerator } from "../machine/accelerator/host-accelerators.ts";
import { measureTscKhz } from "../machine/accelerator/tsc.ts";
import { resolveKernel } from "../machine/kernel/kernel.ts";
import type { Accelerator, GuestKernel } from "../machine/types.ts";
import { guestDirectory } from "../host/package-files.ts";
import type { Home } from "../store/home.ts";
import type { SandboxPaths } from "../store/sandboxes.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";
import { prepareRoot, type PreparedRoot } from "./root.ts";

/** Whose machine it is. */
export interface Subject {
  readonly home: Home;
  readonly record: SandboxRecord;
  readonly paths: SandboxPaths;
}

/** What a sandbox's machine is made of. */
export interface Surroundings {
  readonly qemu: QemuBinary;
  readonly kernel: GuestKernel;
  readonly root: PreparedRoot;
  /** What this host can run guests with, see {@link hostAccelerators}. */
  readonly candidates: readonly HostAccelerator[];
  /** The host's time stamp counter, in kHz; null when it is unknown. */
  readonly tscKhz: number | null;
}

/**
 * Finds what a sandbox's machine is made of.
 *
 * @throws QemuNotFoundError, LibkrunfwNotFoundError, ImageError, InvalidConfigError, IoError; the first of these that is so
 */
export async function lookAround(
  { home, record, paths }: Subject,
  signal: AbortSignal,
): Promise<Surroundings> {
  // Side by side, because each look is a wait for the disk.
  const qemu = findQemu({ cacheDirectory: home.cache });
  const kernel = resolveKernel({
    path: record.config.kernelPath,
    guestDirectory: guestDirectory(),
    stagingDirectory: paths.directory,
  });
  const root = prepareRoot(record.config, paths, home, signal);
  const candidates = hostAccelerators();
  const tscKhz = kernel.then((found) => measureTscKhz(found, home.cache));
  await Promise.allSettled([qemu, kernel, root, candidates, tscKhz]);
  return {
    qemu: await qemu,
    kernel: await kernel,
    root: await root,
    candidates: await candidates,
    tscKhz: await tscKhz,
  };
}

/** Only software emulation shows the guest a counter whose frequency it has to be told. */
export function guestTscKhz(accelerator: Accelerator, tscKhz: number | null): number | null {
  return accelerator === "tcg" ? tscKhz : null;
}
