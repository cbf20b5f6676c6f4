import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { InvalidConfigError } from "../errors/index.ts";
import { embeddedRootFileSystem, isEmbeddedImage, type RootFileSystem } from "../image/embedded.ts";
import { checkDiskImage, type Disk, type Share } from "../machine/index.ts";
import type { Root } from "../protocol/messages.generated.ts";
import type { Home, SandboxPaths, StoredConfig } from "../store/index.ts";
import { prepareUpper } from "./upper.ts";

/** A sandbox's root file system: what the machine gets for it, and what the agent makes of that. */
export interface PreparedRoot {
  readonly disks: readonly Disk[];
  readonly shares: readonly Share[];
  readonly description: Root;
}

const lowerSerial = "lower";
const upperSerial = "upper";
/** Of a disk's serial number, and of a share's tag. */
const rootName = "root";
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
        await lowerOf(image.reference, config.imageDigest, home, signal),
        config,
        paths,
      );
    case "bind":
      return await sharedRoot(image.path);
    case "disk": {
      requireAbsolute(image.path);
      await checkDiskImage(image.path, image.format);
      const disk = { path: image.path, format: image.format, readOnly: false, serial: rootName };
      const description = { serial: rootName, fsType: image.fstype ?? "" };
      return { disks: [disk], shares: [], description: { ...noKind, disk: description } };
    }
  }
}

async function lowerOf(
  reference: string,
  manifestDigest: string | null,
  home: Home,
  signal: AbortSignal,
): Promise<RootFileSystem> {
  if (manifestDigest !== null) {
    // Only now: a sandbox of the embedded image has no use for it.
    const { storedImage } = await import("../image/stored.ts");
    return (await storedImage(manifestDigest, reference, { home, signal })).rootFileSystem;
  }
  if (isEmbeddedImage(reference)) return await embeddedRootFileSystem();
  throw new InvalidConfigError(`the sandbox does not say which ${reference} it was made from`, {
    hint: "Create it again.",
  });
}

async function layeredRoot(
  lower: RootFileSystem,
  { rootDisk, memoryMib }: StoredConfig,
  paths: SandboxPaths,
): Promise<PreparedRoot> {
  const lowerDisk: Disk = { path: lower.path, format: "raw", readOnly: true, serial: lowerSerial };
  const lowerDescription = { serial: lowerSerial, fsType: lower.fsType };
  if (rootDisk.kind === "tmpfs") {
    const upperSizeMib = rootDisk.sizeMib ?? Math.max(1, Math.floor(memoryMib / 2));
    const layered = { lower: lowerDescription, upperSerial: null, upperSizeMib };
    return { disks: [lowerDisk], shares: [], description: { ...noKind, layered } };
  }
  await prepareUpper(paths.upper, rootDisk.sizeMib);
  const upper: Disk = { path: paths.upper, format: "raw", readOnly: false, serial: upperSerial };
  const layered = { lower: lowerDescription, upperSerial, upperSizeMib: rootDisk.sizeMib };
  return { disks: [lowerDisk, upper], shares: [], description: { ...noKind, layered } };
}

async function sharedRoot(path: string): Promise<PreparedRoot> {
  requireAbsolute(path);
  const status = await stat(path).catch(() => null);
  if (status?.isDirectory() !== true) {
    throw new InvalidConfigError(`the root ${path} is no directory`, {
      hint: "Name a directory that exists.",
    });
  }
  const share: Share = { path, tag: rootName, readOnly: false };
  return { disks: [], shares: [share], description: { ...noKind, shared: { tag: rootName } } };
}

/** The supervisor's own directory says nothing about what the user meant. */
function requireAbsolute(path: string): void {
  if (isAbsolute(path)) return;
  throw new InvalidConfigError(`the root ${path} is no absolute path`, { hint: "Begin it with a slash." });
}
