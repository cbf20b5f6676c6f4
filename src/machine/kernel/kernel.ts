import { createReadStream } from "node:fs";
import { access, constants, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { InvalidConfigError, LibkrunfwNotFoundError } from "../../errors/index.ts";
import { smallSha256 } from "../../host/digest.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { inspectKernelImage, type KernelImage } from "./kernel-image.ts";
import { hostPlatform } from "../qemu/platform.ts";
import type { GuestKernel } from "../types.ts";

export interface ResolveKernelOptions {
  /** The user's own kernel (`libkrunfwPath`, `config.json` or `MSB_KERNEL`); null for the one of this package. */
  readonly path: string | null;
  /** Where the guest build put its files for this architecture: `vmlinux`, `initramfs.cpio`, `agent.cpio`, `agent`, `guest.json`. */
  readonly guestDirectory: string;
  /** An existing directory for an initramfs that is put together for the user's own kernel. */
  readonly stagingDirectory: string;
}

/**
 * Finds what a guest boots from and checks that it can be booted.
 *
 * The user's own kernel has the drivers it needs built in, or brings them in `<kernel>.initramfs`: a cpio archive,
 * compressed or not, with modules under /lib/modules/<release>/.
 *
 * @throws LibkrunfwNotFoundError when a file is missing or unreadable; InvalidConfigError when it is not a kernel that boots here
 */
export async function resolveKernel(options: ResolveKernelOptions): Promise<GuestKernel> {
  const guest = resolve(options.guestDirectory);
  if (options.path !== null)
    return resolveCustomKernel(resolve(options.path), guest, options.stagingDirectory);
  const vmlinux = join(guest, "vmlinux");
  const initramfs = join(guest, "initramfs.cpio");
  await Promise.all([requireGuestFile(vmlinux), requireGuestFile(initramfs)]);
  return {
    vmlinux,
    initramfs,
    agentPath: await executableOrNull(join(guest, "agent")),
    custom: false,
    identity: await manifestIdentity(guest),
  };
}

async function resolveCustomKernel(
  path: string,
  guest: string,
  stagingDirectory: string,
): Promise<GuestKernel> {
  await requireKernel(path);
  const agentArchive = join(guest, "agent.cpio");
  await requireGuestFile(agentArchive);
  const modules = `${path}.initramfs`;
  const hasModules = await requireReadableIfThere(modules);
  const files = hasModules ? [path, modules] : [path];
  const identities = await Promise.all(files.map(fileIdentity));
  const identity = smallSha256([...identities, await manifestIdentity(guest)].join("\n"));
  return {
    vmlinux: path,
    initramfs: hasModules
      ? await joinArchives(modules, agentArchive, stagingDirectory, identity)
      : agentArchive,
    agentPath: await executableOrNull(join(guest, "agent")),
    custom: true,
    identity,
  };
}

async function requireKernel(path: string): Promise<void> {
  const hint =
    "Name a readable kernel file (libkrunfwPath, config.json, MSB_KERNEL), or none to use the one of this package.";
  let image: KernelImage;
  try {
    if (!(await stat(path)).isFile())
      throw new LibkrunfwNotFoundError(`the guest kernel ${path} is not a regular file`, { hint });
    image = await inspectKernelImage(path, hostPlatform());
  } catch (error) {
    if (error instanceof LibkrunfwNotFoundError) throw error;
    const reason =
      errorCode(error) === "ENOENT" ? "does not exist" : `cannot be read (${errorCode(error) ?? "unknown"})`;
    throw new LibkrunfwNotFoundError(`the guest kernel ${path} ${reason}`, { hint, cause: error });
  }
  if (image.kind === "kernel") return;
  throw new InvalidConfigError(`${path} cannot be used as guest kernel: it is ${image.description}`, {
    hint: kernelHint(),
  });
}

function kernelHint(): string {
  const wanted =
    hostPlatform().name === "x86_64"
      ? "an ELF vmlinux built with CONFIG_PVH=y, or a bzImage (a distribution's /boot/vmlinuz is one)"
      : "an uncompressed arm64 Image (arch/arm64/boot/Image of a kernel build)";
  return `Use ${wanted}; drivers that it does not have built in go into a cpio archive beside it, named <kernel>.initramfs.`;
}

const buildHint =
  "Run `npm run build` (or `npm run quickstart`, which installs what it needs first) in the microsandbox checkout.";

async function requireGuestFile(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    const reason =
      errorCode(error) === "ENOENT" ? "is missing" : `cannot be read (${errorCode(error) ?? "unknown"})`;
    throw new LibkrunfwNotFoundError(`the guest file ${path} ${reason}`, { hint: buildHint, cause: error });
  }
}

async function requireReadableIfThere(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw new LibkrunfwNotFoundError(
      `the initramfs ${path} cannot be read (${errorCode(error) ?? "unknown"})`,
      {
        hint: "Make it readable, or remove it if the kernel needs no modules.",
        cause: error,
      },
    );
  }
}

async function executableOrNull(path: string): Promise<string | null> {
  try {
    await access(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

/** The manifest holds the checksums of all guest files, so its own stands for them. */
async function manifestIdentity(guest: string): Promise<string> {
  const manifest = join(guest, "guest.json");
  try {
    return smallSha256(await readFile(manifest));
  } catch (error) {
    throw new LibkrunfwNotFoundError(`the guest file ${manifest} cannot be read`, {
      hint: buildHint,
      cause: error,
    });
  }
}

/** Cheap: the content is not read. */
async function fileIdentity(path: string): Promise<string> {
  const found = await stat(path, { bigint: true });
  return `${path}:${found.size}:${found.mtimeNs}`;
}

/**
 * One initramfs from two: the kernel unpacks concatenated archives in order and later files replace earlier ones, so
 * the agent stays `/init`. See Documentation/driver-api/early-userspace/buffer-format.rst.
 */
async function joinArchives(
  first: string,
  second: string,
  directory: string,
  identity: string,
): Promise<string> {
  const target = join(directory, `initramfs-${identity.slice(0, 16)}.cpio`);
  const aside = `${target}.${process.pid}.tmp`;
  try {
    await using file = await open(aside, "w", 0o600);
    await file.writeFile(createReadStream(first));
    const { size } = await file.stat();
    // An uncompressed archive is recognized at offsets that are a multiple of 4 only; zeros between archives are skipped.
    await file.write(Buffer.alloc((4 - (size % 4)) % 4));
    await file.writeFile(createReadStream(second));
    await rename(aside, target);
    return target;
  } catch (error) {
    await rm(aside, { force: true });
    throw ioError(`put together the initramfs ${target}`, error);
  }
}
