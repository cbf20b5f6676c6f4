import { inMountOrder } from "../../config/mounts/guest-mount-path.ts";
import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { checkDiskImage } from "../../machine/disks/disk-image.ts";
import type { Disk } from "../../machine/types.ts";
import type { GuestMount } from "../../protocol/generated/messages.ts";
import type { Home } from "../../store/home.ts";
import { noSharedDirectories } from "../../store/mounts/shared-directories.ts";
import { findVolume } from "../../store/volumes/volumes.ts";
import type { PreparedMounts } from "../contract/handover.ts";

/** What one mount consists of. */
interface Part {
  readonly disk: Disk | null;
  readonly guest: GuestMount;
}

/**
 * Makes what is mounted besides the root ready for the machine and the guest.
 *
 * @throws VolumeNotFoundError; InvalidConfigError for a disk image that is not there or cannot be used; UnsupportedOperationError for a
 *   directory of the host; IoError
 */
export async function prepareMounts({ mounts }: StoredConfig, home: Home): Promise<PreparedMounts> {
  const parts = await Promise.all(
    inMountOrder(mounts).map((mount, index) => prepareMount(mount, `mount${index}`, home)),
  );
  return {
    disks: parts.flatMap(({ disk }) => (disk === null ? [] : [disk])),
    guest: parts.map(({ guest }) => guest),
  };
}

/** @param serial by which the guest finds its disk, if it is one */
async function prepareMount(mount: VolumeMount, serial: string, home: Home): Promise<Part> {
  const readOnly = mount.readonly;
  const guest: GuestMount = {
    path: mount.guest,
    readOnly,
    noExec: mount.noexec,
    noSuid: mount.nosuid,
    noDevices: mount.nodev,
    memory: null,
    disk: null,
  };
  switch (mount.kind) {
    case "tmpfs":
      return { disk: null, guest: { ...guest, memory: { sizeMib: mount.sizeMib ?? 0 } } };
    case "disk": {
      const { host: path, format, fstype } = mount;
      await checkDiskImage(path, format, { readOnly });
      const fileSystem = { serial, fsType: fstype ?? "" };
      return {
        disk: { path, format, readOnly, serial },
        guest: { ...guest, disk: { fileSystem, fills: false } },
      };
    }
    case "named": {
      const { record, paths } = await findVolume(home, mount.name);
      if (record.kind === "dir") throw noSharedDirectories(mount);
      const path = paths.disk;
      await checkDiskImage(path, "raw", { readOnly });
      const fileSystem = { serial, fsType: "ext4" };
      return {
        disk: { path, format: "raw", readOnly, serial },
        guest: { ...guest, disk: { fileSystem, fills: true } },
      };
    }
    case "bind":
      throw noSharedDirectories(mount);
  }
}
