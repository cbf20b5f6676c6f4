import type { DiskImageFormat } from "../enums.ts";
import type { VolumeKind } from "../volumes/volume-config.ts";
import type { GivenProvider } from "./given-provider.ts";

/** What can be mounted: a directory or a file of the host, a named volume, memory, a disk image of the host, files of a program. */
export const VolumeMountKinds = ["bind", "named", "tmpfs", "disk", "provider"] as const;
export type VolumeMountKind = (typeof VolumeMountKinds)[number];

/** Where the owners and modes are kept that a guest gives to files of a directory of the host. */
export const StatVirtualizations = ["strict", "relaxed", "off"] as const;
export type StatVirtualization = (typeof StatVirtualizations)[number];

/** Whether a guest's chmod reaches the host's files. */
export const HostPermissionsList = ["private", "mirror"] as const;
export type HostPermissions = (typeof HostPermissionsList)[number];

/** What becomes of a named volume that is missing, or is there: used as it is, made and refused if it is there, made if it is missing. */
export const NamedVolumeModes = ["existing", "create", "ensure-exists"] as const;
export type NamedVolumeMode = (typeof NamedVolumeModes)[number];

interface AnyMount {
  /** Absolute path in the guest, without `..` or a `/` at the end. */
  readonly guest: string;
  /** Kept by the host, too: remounting in the guest does not help. */
  readonly readonly: boolean;
  readonly noexec: boolean;
  readonly nosuid: boolean;
  readonly nodev: boolean;
}

/** How the files of a directory of the host look in the guest. What is not there was not said. */
export interface SharedFiles {
  readonly statVirtualization?: StatVirtualization;
  readonly hostPermissions?: HostPermissions;
  /** All files are shown as owned by these. */
  readonly overrideUid?: number;
  readonly overrideGid?: number;
}

export interface BindMount extends AnyMount, SharedFiles {
  readonly kind: "bind";
  /** Directory or file of the host. */
  readonly host: string;
  /** How much the guest may add, in MiB. */
  readonly quotaMib?: number;
  /** The guest writes into a layer of its own, and the directory stays as it is. */
  readonly overlay?: true;
}

export interface NamedMount extends AnyMount, SharedFiles {
  readonly kind: "named";
  /** Of the volume. */
  readonly name: string;
  readonly namedMode?: NamedVolumeMode;
  /** The other three are for a volume that is to be made, or that has to be as they say. */
  readonly namedKind?: VolumeKind;
  /** Of a disk, in MiB. */
  readonly sizeMib?: number;
  /** Of a directory, in MiB. */
  readonly quotaMib?: number;
}

export interface TmpfsMount extends AnyMount {
  readonly kind: "tmpfs";
  /** MiB at most; null: as the guest's kernel does it, half of its memory. */
  readonly sizeMib: number | null;
}

export interface DiskMount extends AnyMount {
  readonly kind: "disk";
  /** Disk image of the host. */
  readonly host: string;
  readonly format: DiskImageFormat;
  /** As mount(2) wants it; null: found out. */
  readonly fstype: string | null;
}

export interface ProviderMount extends AnyMount {
  readonly kind: "provider";
  /** How long one request of the guest's may take, ms. */
  readonly timeoutMs: number;
  /** How long the guest believes what it was told of names and attributes, ms. */
  readonly cacheMs: number;
  /** All files are shown as owned by these. */
  readonly overrideUid?: number;
  readonly overrideGid?: number;
  /** What provides them, until the sandbox is made: no record holds it. */
  readonly provider?: GivenProvider;
}

/** Something that is mounted in a guest. Frozen. */
export type VolumeMount = BindMount | NamedMount | TmpfsMount | DiskMount | ProviderMount;
