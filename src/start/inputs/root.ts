import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { embeddedRootFileSystem, isEmbeddedImage, type RootFileSystem } from "../../image/embedded.ts";
import { checkDiskImage } from "../../machine/disks/disk-image.ts";
import { shareTag } from "../../machine/qemu/command-line.ts";
import type { Disk, Share } from "../../machine/types.ts";
import type { Root } from "../../protocol/generated/messages.ts";
import { diskSizeOf } from "../../store/blank-disk.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { PreparedRoot } from "../contract/handover.ts";
import { prepareUpper } from "./upper.ts";

const lowerSerial = "lower";
const upperSerial = "upper";
const rootSerial = "root";
const noUpper = { template: null, upper: null };
const noKind: Root = { layered: null, shared: null, disk: null };

/**
 * Makes a sandbox's root file system ready to be booted from. Uses no network: an image was pulled when the sandbox was
 * created.
 *
 * @throws ImageError when the image is not stored any more; InvalidConfigError for a directory or a disk image that is not
 *   there or cannot be used; IoError
 */
export async function prepareRoot(
  config: StoredConfig,
  paths: SandboxPaths,
  home: Home,
  signal: AbortSignal,
): Promise<PreparedRoot> {
  const { image } = config;
  switch (image.kind) {
    case "oci":
      return await layeredRoot(
        image.reference,
        await lowerOf(image.reference, config.imageDigest, home, signal),
        config,
        paths,
      );
    case "bind":
      return await sharedRoot(image.path);
    case "disk": {
      requireAbsolute(image.path);
      await checkDiskImage(image.path, image.format);
      const disk = { path: image.path, format: image.format, readOnly: false, serial: rootSerial };
      const description = { serial: rootSerial, fsType: image.fstype ?? "" };
      return { disks: [disk], shares: [], description: { ...noKind, disk: description }, ...noUpper };
    }
  }
}

/** Makes the disk that the guest writes to, unless it is there or there is none. @throws InvalidConfigError, IoError */
export async function makeUpper({ upper }: Pick<PreparedRoot, "upper">): Promise<void> {
  if (upper !== null) await prepareUpper(upper.path, upper.sizeMib);
}

interface Lower extends RootFileSystem {
  readonly programs: readonly string[];
}

/** Not what one sandbox of the image asks for: its template is for all of them. */
function likelyPrograms(own: readonly (string | undefined)[]): string[] {
  return ["/bin/sh", ...own.filter((program) => program !== undefined)].flatMap((program) =>
    program.includes("/")
      ? [program]
      : ["/usr/local/bin", "/usr/bin", "/bin"].map((directory) => `${directory}/${program}`),
  );
}

async function lowerOf(
  reference: string,
  manifestDigest: string | null,
  home: Home,
  signal: AbortSignal,
): Promise<Lower> {
  if (manifestDigest !== null) {
    // Only now: a sandbox of the embedded image has no use for it.
    const { storedImage } = await import("../../image/stored.ts");
    const { rootFileSystem, config } = await storedImage(manifestDigest, reference, { home, signal });
    return { ...rootFileSystem, programs: likelyPrograms([config.entrypoint?.[0], config.cmd?.[0]]) };
  }
  if (isEmbeddedImage(reference))
    return { ...(await embeddedRootFileSystem()), programs: likelyPrograms([]) };
  throw new InvalidConfigError(`the sandbox does not say which ${reference} it was made from`, {
    hint: "Create it again.",
  });
}

async function layeredRoot(
  reference: string,
  lower: Lower,
  { rootDisk, memoryMib }: StoredConfig,
  paths: SandboxPaths,
): Promise<PreparedRoot> {
  const lowerDisk: Disk = { path: lower.path, format: "raw", readOnly: true, serial: lowerSerial };
  const lowerDescription = { serial: lowerSerial, fsType: lower.fsType };
  if (rootDisk.kind === "tmpfs") {
    const upperSizeMib = rootDisk.sizeMib ?? Math.max(1, Math.floor(memoryMib / 2));
    const layered = { lower: lowerDescription, upperSerial: null, upperSizeMib };
    return {
      ...noUpper,
      disks: [lowerDisk],
      shares: [],
      description: { ...noKind, layered },
    };
  }
  const { sizeMib } = rootDisk;
  const upper: Disk = { path: paths.upper, format: "raw", readOnly: false, serial: upperSerial };
  const layered = { lower: lowerDescription, upperSerial, upperSizeMib: sizeMib };
  // One that has run has an upper of its own.
  const isNew = (await diskSizeOf(paths.upper)) === null;
  return {
    disks: [lowerDisk, upper],
    shares: [],
    description: { ...noKind, layered },
    template: isNew
      ? {
          reference,
          identity: `${await fileIdentity(lower.path)} managed ${sizeMib}`,
          rootDisk: `${sizeMib} MiB`,
          programs: lower.programs,
          upperPath: paths.upper,
        }
      : null,
    upper: { path: paths.upper, sizeMib },
  };
}

/** Cheap: the content is not read. */
async function fileIdentity(path: string): Promise<string> {
  const { size, mtimeNs, ino } = await stat(path, { bigint: true });
  return `${path} ${size} ${mtimeNs} ${ino}`;
}

async function sharedRoot(path: string): Promise<PreparedRoot> {
  requireAbsolute(path);
  const status = await stat(path).catch(() => null);
  if (status?.isDirectory() !== true) {
    throw new InvalidConfigError(`the root ${path} is no directory`, {
      hint: "Name a directory that exists.",
    });
  }
  const share: Share = { path, readOnly: false };
  const description = { ...noKind, shared: { tag: shareTag(0) } };
  return { disks: [], shares: [share], description, ...noUpper };
}

/** The supervisor's own directory says nothing about what the user meant. */
function requireAbsolute(path: string): void {
  if (isAbsolute(path)) return;
  throw new InvalidConfigError(`the root ${path} is no absolute path`, { hint: "Begin it with a slash." });
}
