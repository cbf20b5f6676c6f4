import type { VolumeMount } from "../../api/index.ts";
import { resolve } from "node:path";
import type { RootfsSource, SandboxConfig } from "../../api/index.ts";

/** An image as users write it: a reference or a path. */
export function describeImage(image: string | RootfsSource): string {
  if (typeof image === "string") return image;
  return image.kind === "oci" ? image.reference : image.path;
}

/** Whether the image of a sandbox is the one that a user writes as `text`. */
export function isImage(image: RootfsSource, text: string): boolean {
  return text === describeImage(image) || (image.kind !== "oci" && resolve(text) === image.path);
}

/** What the sandbox's own command is: its entrypoint, then its command. `-` without either. */
export function describeCommand(config: SandboxConfig): string {
  const words = [...(config.entrypoint ?? []), ...(config.cmd ?? [])];
  return words.length === 0 ? "-" : words.map(quoteWord).join(" ");
}

/** A word as a POSIX shell reads it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `/data → cache (ro, volume, nosuid)`: where, what, and how. */
export function describeMount(mount: VolumeMount): string {
  const { guest, kind } = mount;
  const how = [
    mount.readonly ? "ro" : "rw",
    // A path is a directory or a file.
    ...(kind === "named" ? ["volume"] : kind === "disk" ? ["disk"] : []),
    ...(["noexec", "nosuid", "nodev"] as const).filter((flag) => mount[flag]),
    ...(kind === "disk" ? [mount.format, ...(mount.fstype === null ? [] : [mount.fstype])] : []),
    ...(kind === "tmpfs" && mount.sizeMib !== null ? [`${String(mount.sizeMib)} MiB`] : []),
    ...(kind === "bind" && mount.overlay === true ? ["overlay"] : []),
    ...((kind === "bind" || kind === "named") && mount.quotaMib !== undefined
      ? [`quota ${String(mount.quotaMib)} MiB`]
      : []),
    ...((kind === "bind" || kind === "named" || kind === "provider") && mount.overrideUid !== undefined
      ? [`owner ${String(mount.overrideUid)}:${String(mount.overrideGid)}`]
      : []),
    ...((kind === "bind" || kind === "named") && mount.statVirtualization !== undefined
      ? [`stat-virt ${mount.statVirtualization}`]
      : []),
    ...((kind === "bind" || kind === "named") && mount.hostPermissions !== undefined
      ? [`host-perms ${mount.hostPermissions}`]
      : []),
  ];
  const what = kind === "tmpfs" || kind === "provider" ? kind : kind === "named" ? mount.name : mount.host;
  return `${guest} → ${what} (${how.join(", ")})`;
}
