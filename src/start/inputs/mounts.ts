import { inMountOrder } from "../../config/mounts/guest-mount-path.ts";
import type { BindMount, NamedMount, VolumeMount } from "../../config/mounts/volume-mount.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { ServedMount, ServedPath } from "../../file-server/options.ts";
import { checkDiskImage } from "../../machine/disks/disk-image.ts";
import type { Disk } from "../../machine/types.ts";
import type { GuestMount } from "../../protocol/generated/messages.ts";
import { layerPaths } from "../../overlay/layer-paths.ts";
import { prepareLayer } from "../../overlay/prepare-layer.ts";
import type { Home } from "../../store/home.ts";
import {
  requireOverlayable,
  requireServable,
  requireSharable,
} from "../../store/mounts/shared-directories.ts";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import { findVolume } from "../../store/volumes/volumes.ts";
import type { PreparedMounts } from "../contract/handover.ts";

/** As much as a sandbox may write to its root unless it is told otherwise. */
const defaultLayerMib = 4096;

/** What one mount consists of. */
interface Part {
  readonly disk: Disk | null;
  readonly served: ServedMount | null;
  readonly guest: GuestMount;
}

/**
 * Makes what is mounted besides the root ready for the machine and the guest.
 *
 * @throws VolumeNotFoundError; InvalidConfigError for a disk image that is not there or cannot be used, or a path of the host
 *   that is not there; UnsupportedOperationError for a directory of a host that cannot serve any; IoError
 */
export async function prepareMounts(
  { mounts }: StoredConfig,
  home: Home,
  sandbox: SandboxPaths,
): Promise<PreparedMounts> {
  const parts = await Promise.all(
    inMountOrder(mounts).map((mount, index) => prepareMount(mount, `mount${index}`, home, sandbox)),
  );
  return {
    disks: parts.flatMap(({ disk }) => (disk === null ? [] : [disk])),
    guest: parts.map(({ guest }) => guest),
    served: parts.flatMap(({ served }) => (served === null ? [] : [served])),
  };
}

/** @param serial by which the guest finds its disk, if it is one */
async function prepareMount(
  mount: VolumeMount,
  serial: string,
  home: Home,
  sandbox: SandboxPaths,
): Promise<Part> {
  const readOnly = mount.readonly;
  const guest: GuestMount = {
    path: mount.guest,
    readOnly,
    noExec: mount.noexec,
    noSuid: mount.nosuid,
    noDevices: mount.nodev,
    memory: null,
    disk: null,
    files: null,
  };
  switch (mount.kind) {
    case "tmpfs":
      return { disk: null, served: null, guest: { ...guest, memory: { sizeMib: mount.sizeMib ?? 0 } } };
    case "disk": {
      const { host: path, format, fstype } = mount;
      await checkDiskImage(path, format, { readOnly });
      const fileSystem = { serial, fsType: fstype ?? "" };
      return {
        disk: { path, format, readOnly, serial },
        served: null,
        guest: { ...guest, disk: { fileSystem, fills: false } },
      };
    }
    case "named": {
      const { record, paths } = await findVolume(home, mount.name);
      if (record.kind === "dir") {
        requireSharable(mount);
        await requireServable(paths.directory, mount.guest);
        const served = servedPath(mount, paths.directory, false, record.quotaMib);
        return { disk: null, served, guest: { ...guest, files: { isFile: false } } };
      }
      const path = paths.disk;
      await checkDiskImage(path, "raw", { readOnly });
      const fileSystem = { serial, fsType: "ext4" };
      return {
        disk: { path, format: "raw", readOnly, serial },
        served: null,
        guest: { ...guest, disk: { fileSystem, fills: true } },
      };
    }
    case "provider": {
      const { guest: path, timeoutMs } = mount;
      const served = { kind: "provider", guest: path, timeoutMs } as const;
      return { disk: null, served, guest: { ...guest, files: { isFile: false } } };
    }
    case "bind": {
      requireSharable(mount);
      const isFile = await requireServable(mount.host, mount.guest);
      requireOverlayable(mount, isFile);
      const quotaMib = mount.quotaMib ?? (mount.overlay === true ? defaultLayerMib : null);
      const served = {
        ...servedPath(mount, mount.host, isFile, quotaMib),
        layer: await layerOf(mount, sandbox),
      };
      return { disk: null, served, guest: { ...guest, files: { isFile } } };
    }
  }
}

/** The directory of its layer, made if it is not there; null when it has none. */
async function layerOf(mount: BindMount, { directory }: SandboxPaths): Promise<string | null> {
  if (mount.overlay !== true) return null;
  const layer = layerPaths(directory, mount.guest);
  await prepareLayer(layer, mount.host);
  return layer.directory;
}

function servedPath(
  mount: BindMount | NamedMount,
  path: string,
  isFile: boolean,
  quotaMib: number | null,
): ServedPath {
  const { overrideUid, overrideGid } = mount;
  const hasOwner = overrideUid !== undefined || overrideGid !== undefined;
  return {
    kind: "path",
    path,
    isFile,
    readOnly: mount.readonly,
    statVirtualization: mount.statVirtualization ?? "strict",
    hostPermissions: mount.hostPermissions ?? "private",
    owner: hasOwner ? { uid: overrideUid ?? 0, gid: overrideGid ?? 0 } : null,
    quotaBytes: quotaMib === null ? null : quotaMib * 2 ** 20,
    // A volume has a size of its own; a directory of the user's is not all the guest's.
    quotaCountsAll: mount.kind === "named",
    layer: null,
  };
}
