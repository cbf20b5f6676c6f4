import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { NamedMount, VolumeMount } from "../../config/mounts/volume-mount.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { checkVolumeConfig, type VolumeConfig } from "../../config/volumes/volume-config.ts";
import { InvalidConfigError, VolumeAlreadyExistsError } from "../../errors/index.ts";
import type { Home } from "../home.ts";
import { findIfThere, volumeNotFound, type FoundVolume } from "../volumes/volumes.ts";
import { missingImage, noImageFile } from "./image-faults.ts";
import { requireOverlayable, requireServable, requireSharable } from "./shared-directories.ts";

/** So many are free in every machine beside those of the root. */
const mostDisks = 4;
/** Each has a stream of its own to the program, and may hold some 16 MiB on its way there. */
const mostProviders = 16;

/** The mounts of a new sandbox, found valid. */
export interface CheckedMounts {
  /** Paths of the host are absolute. */
  readonly mounts: readonly VolumeMount[];
  /** The volumes that are to be made for it. */
  readonly missing: readonly VolumeConfig[];
}

/**
 * Finds out everything that can be wrong with the mounts of a new sandbox, and makes nothing.
 *
 * @param image what its root is made from, paths absolute
 * @throws InvalidConfigError for a path of the host that is not there, or a disk that is there twice; VolumeNotFoundError,
 *   VolumeAlreadyExistsError; UnsupportedOperationError; JsonError, IoError
 */
export async function checkMounts(
  home: Home,
  { image, mounts }: Pick<StoredConfig, "image" | "mounts">,
): Promise<CheckedMounts> {
  const checked: VolumeMount[] = [];
  const missing: VolumeConfig[] = [];
  const disks = new Map<string, string>();
  let used = 0;
  let provided = 0;
  if (image.kind === "disk") disks.set(await identityOf(image.path), "the root");
  for (const mount of mounts) {
    switch (mount.kind) {
      case "tmpfs":
        checked.push(mount);
        break;
      case "provider": {
        // What provides them goes another way: it cannot be written down.
        const { provider: _, ...rest } = mount;
        provided++;
        checked.push(rest);
        break;
      }
      case "bind": {
        const host = resolve(mount.host);
        requireSharable(mount);
        requireOverlayable(mount, await requireServable(host, mount.guest));
        checked.push({ ...mount, host });
        break;
      }
      case "disk": {
        const host = resolve(mount.host);
        await requireDisk(host);
        requireOnce(disks, await identityOf(host), host, mount.guest);
        used++;
        checked.push({ ...mount, host });
        break;
      }
      case "named": {
        const found = await findIfThere(home, mount.name);
        const config = found === null ? configOf(mount) : agreeing(mount, found);
        if (config.kind === "dir") requireSharable(mount);
        else {
          requireOnce(disks, `volume ${mount.name}`, mount.name, mount.guest);
          used++;
        }
        if (found === null) missing.push(config);
        checked.push(mount);
      }
    }
  }
  if (used > mostDisks) {
    throw new InvalidConfigError(`a sandbox has at most ${mostDisks} disks besides its root, not ${used}`, {
      hint: "Mount fewer, or put what belongs together on one disk.",
    });
  }
  if (provided > mostProviders) {
    throw new InvalidConfigError(`a sandbox has at most ${mostProviders} providers, not ${provided}`, {
      hint: "Let one provider have several directories.",
    });
  }
  return { mounts: checked, missing };
}

async function requireDisk(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw missingImage(path, error);
  });
  if (!found.isFile()) throw noImageFile(path);
}

/** Whatever name it has. */
async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `file ${dev}:${ino}`;
}

function requireOnce(disks: Map<string, string>, identity: string, what: string, guest: string): void {
  const other = disks.get(identity);
  if (other !== undefined) {
    throw new InvalidConfigError(`the disk ${what} is both ${other} and the mount at ${guest}`, {
      hint: "A disk is mounted once in a sandbox.",
    });
  }
  disks.set(identity, `the mount at ${guest}`);
}

/** What a volume is to be that is not there. */
function configOf(mount: NamedMount): VolumeConfig {
  const { name, namedMode = "existing", namedKind: kind, sizeMib, quotaMib } = mount;
  if (namedMode === "existing") throw volumeNotFound(name);
  return checkVolumeConfig({
    name,
    ...(kind === undefined ? {} : { kind }),
    ...(sizeMib === undefined ? {} : { sizeMib }),
    ...(quotaMib === undefined ? {} : { quotaMib }),
  });
}

/** One that is there has to be as was said, as far as it was said. */
function agreeing(
  { name, namedMode, namedKind, sizeMib, quotaMib }: NamedMount,
  { record }: FoundVolume,
): VolumeConfig {
  if (namedMode === "create") {
    throw new VolumeAlreadyExistsError(`a volume named ${name} exists already`, {
      hint: "Use it as it is: mode ensure-exists, or existing.",
    });
  }
  const differences = [
    ["kind", namedKind, record.kind],
    ["size in MiB", sizeMib, record.capacityMib],
    ["quota in MiB", quotaMib, record.quotaMib],
  ] as const;
  for (const [what, wanted, is] of differences) {
    if (wanted === undefined || wanted === is) continue;
    throw new InvalidConfigError(
      `the volume ${name} is there, but not as it is asked for: its ${what} is ${is ?? "none"}, not ${wanted}`,
      { hint: "Leave that out, or use another volume." },
    );
  }
  const { kind, capacityMib, labels } = record;
  return { name, kind, quotaMib: record.quotaMib, capacityMib, labels };
}
