import { InvalidConfigError } from "../../errors/index.ts";
import type { DiskImageFormat } from "../enums.ts";
import type { HostPermissions, StatVirtualization, VolumeMountKind } from "./volume-mount.ts";

/** How something is mounted, as far as that is not for all kinds. */
export interface Modifiers {
  readonly format?: DiskImageFormat;
  readonly fstype?: string;
  readonly sizeMib?: number;
  readonly quotaMib?: number;
  readonly statVirtualization?: StatVirtualization;
  readonly hostPermissions?: HostPermissions;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly overlay?: true;
}

/** Which kinds have what, and what it is called. */
const applicable: Readonly<Record<keyof Modifiers, readonly [setter: string, ...kinds: VolumeMountKind[]]>> =
  {
    format: ["format()", "disk"],
    fstype: ["fstype()", "disk"],
    sizeMib: ["size()", "tmpfs"],
    quotaMib: ["quota()", "bind"],
    statVirtualization: ["statVirtualization()", "bind", "named"],
    hostPermissions: ["hostPermissions()", "bind", "named"],
    owner: ["owner()", "bind", "named", "provider"],
    overlay: ["overlay()", "bind"],
  };

/** What a named volume is said to be that has to be made, or has to be as it says. */
interface Source {
  readonly kind: VolumeMountKind;
  readonly namedKind?: string;
  readonly sizeMib?: number;
  readonly quotaMib?: number;
}

/** What a layer makes pointless, and why. */
const settledByLayer = {
  statVirtualization: "the layer keeps the owners and modes that the guest gives",
  hostPermissions: "what the guest's chmod reaches is the layer; applyChanges() carries modes to the host",
} as const;

/** @throws InvalidConfigError for what has no meaning with a layer */
function checkOverlay(guest: string, modifiers: Modifiers, readonly: boolean): void {
  if (modifiers.overlay !== true) return;
  if (readonly) {
    throw new InvalidConfigError(`the mount at ${guest} is both readonly() and overlay()`, {
      hint: "With overlay() the host's directory is never written, and the guest can write: leave one of them out.",
    });
  }
  for (const key of ["statVirtualization", "hostPermissions"] as const) {
    if (modifiers[key] === undefined) continue;
    throw new InvalidConfigError(`${key}() has no meaning for the mount at ${guest}, which has overlay()`, {
      hint: `Leave it out: ${settledByLayer[key]}.`,
    });
  }
}

/** @throws InvalidConfigError for what has no meaning for what is mounted, or contradicts itself */
export function checkModifiers(guest: string, source: Source, modifiers: Modifiers, readonly: boolean): void {
  const isDisk = source.kind === "named" && source.namedKind === "disk";
  for (const key of Object.keys(modifiers) as (keyof Modifiers)[]) {
    const [setter, ...kinds] = applicable[key];
    if (kinds.includes(source.kind) && !isDisk) continue;
    const what = isDisk ? "a named volume that is a disk" : `what is mounted at ${guest} (${source.kind})`;
    throw new InvalidConfigError(`${setter} has no meaning for ${what}`, {
      hint: `It is for ${kinds.join(" and ")}: leave it out.`,
    });
  }
  checkOverlay(guest, modifiers, readonly);
  if (modifiers.statVirtualization === "off" && modifiers.hostPermissions === "mirror") {
    throw new InvalidConfigError(
      `the mount at ${guest} has statVirtualization "off" with hostPermissions "mirror"`,
      {
        hint: "Without virtualization the host's modes are the guest's already: leave hostPermissions out.",
      },
    );
  }
  if (source.kind !== "named") return;
  if (isDisk && source.quotaMib !== undefined) {
    throw new InvalidConfigError(`the volume at ${guest} is a disk, which has no quota`, {
      hint: "Its size is what it can hold.",
    });
  }
  if (source.namedKind === "dir" && source.sizeMib !== undefined) {
    throw new InvalidConfigError(`the volume at ${guest} is a directory, which has no size of its own`, {
      hint: "Give it a quota instead, or make it a disk.",
    });
  }
}
