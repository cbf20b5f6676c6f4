import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { filesOf } from "../../config/sandbox/suspendable.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { Home } from "../home.ts";
import { missingImage, noImageFile } from "./image-faults.ts";
import { NamedMounts } from "./named-mounts.ts";
import { checkNestedPlaces, type SharedPlace } from "./nested-places.ts";
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
  /** Where files of the host, or of a program, will be in the guest; null: nowhere. */
  readonly files: string | null;
}

/**
 * Finds out everything that can be wrong with the mounts of a new sandbox, and makes nothing.
 *
 * @param image what its root is made from, paths absolute
 * @throws InvalidConfigError for a path of the host that is not there or cannot be served, a disk that is there twice, mounts that
 *   contradict one another; VolumeNotFoundError, VolumeAlreadyExistsError; UnsupportedOperationError; JsonError, IoError
 */
export async function checkMounts(
  home: Home,
  { image, mounts }: Pick<StoredConfig, "image" | "mounts">,
): Promise<CheckedMounts> {
  const checked: VolumeMount[] = [];
  const named = new NamedMounts(home);
  const disks = new Map<string, string>();
  const shared: SharedPlace[] = [];
  let used = 0;
  let provided = 0;
  if (image.kind === "disk") disks.set(await identityOf(image.path), "the root");
  for (const mount of mounts) {
    const { guest } = mount;
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
        const isFile = await requireServable(host, guest);
        if (isFile && mount.host.endsWith("/")) {
          throw new InvalidConfigError(`${mount.host}, which is to be mounted at ${guest}, is a file`, {
            hint: "Leave the / at its end away.",
          });
        }
        requireOverlayable(mount, isFile);
        shared.push({ guest, host, isFile, readOnly: mount.readonly });
        checked.push({ ...mount, host });
        break;
      }
      case "disk": {
        const host = resolve(mount.host);
        await requireDisk(host);
        requireOnce(disks, await identityOf(host), host, guest);
        used++;
        checked.push({ ...mount, host });
        break;
      }
      case "named": {
        const { kind, paths } = await named.check(mount);
        if (kind === "dir") {
          requireSharable(mount);
          if (paths !== null) await requireServable(paths.directory, guest);
          const host = paths?.directory ?? null;
          shared.push({ guest, host, isFile: false, readOnly: mount.readonly });
        } else {
          if (paths !== null) await requireDisk(paths.disk);
          const identity = paths === null ? `volume ${mount.name}` : await identityOf(paths.disk);
          requireOnce(disks, identity, `of the volume ${mount.name}`, guest);
          used++;
        }
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
  await checkNestedPlaces(checked, shared);
  const files = filesOf(image, checked, (mount) => shared.some(({ guest }) => guest === mount.guest));
  return { mounts: checked, missing: named.missing, files };
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
