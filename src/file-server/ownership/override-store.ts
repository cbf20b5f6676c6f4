import { closeSync, constants, type BigIntStats } from "node:fs";
import { requireFromPackage } from "../../host/package-files.ts";
import { fileTypes, typeOf, type Node, type Override } from "../tree/node.ts";
import type { HostTree } from "../tree/host-tree.ts";

/** Where a file keeps what the guest has made of it, as `uid:gid:mode:rdev`, the mode in octal. The guest itself cannot reach it. */
export const overrideName = "user.msb.stat";

interface Attributes {
  getAttrSync(fd: number, name: string): Buffer | null;
  setAttrSync(fd: number, name: string, value: Buffer): void;
  removeAttrSync(fd: number, name: string): void;
  listAttrsSync(fd: number): string[];
}

let loaded: Attributes | null = null;

/** Extended attributes: Node has none of its own. */
export function extendedAttributes(): Attributes {
  loaded ??= requireFromPackage("fs-native-extensions") as Attributes;
  return loaded;
}

/** Only these may have extended attributes of users (xattr(7)). */
export function canKeep(type: number): boolean {
  return type === fileTypes.regular || type === fileTypes.directory;
}

/** What is kept with a file; read again only when the file has changed. */
export function readOverride(tree: HostTree, node: Node, stat: BigIntStats): Override | null {
  if (node.overrideAtNs === stat.ctimeNs) return node.override;
  if (!canKeep(typeOf(stat))) return node.override;
  let fd = -1;
  try {
    fd = tree.open(node, constants.O_RDONLY | constants.O_NONBLOCK);
    const value = extendedAttributes().getAttrSync(fd, overrideName);
    node.override = value === null ? null : parseOverride(value.toString("latin1"));
  } catch {
    // It may not be read, or its file system keeps none.
  } finally {
    if (fd >= 0) closeSync(fd);
  }
  node.overrideAtNs = stat.ctimeNs;
  return node.override;
}

/** @throws the system's error where it cannot be kept */
export function writeOverride(fd: number, override: Override | null): void {
  if (override !== null) {
    const { uid, gid, mode, rdev } = override;
    const text = `${uid}:${gid}:${mode.toString(8)}:${rdev}`;
    extendedAttributes().setAttrSync(fd, overrideName, Buffer.from(text));
  } else if (extendedAttributes().getAttrSync(fd, overrideName) !== null) {
    extendedAttributes().removeAttrSync(fd, overrideName);
  }
}

function parseOverride(text: string): Override | null {
  const match = /^(\d{1,10}):(\d{1,10}):([0-7]{1,7}):(\d{1,10})$/.exec(text);
  if (match === null) return null;
  const [uid = 0, gid = 0, , rdev = 0] = match.slice(1).map(Number);
  return { uid: uid >>> 0, gid: gid >>> 0, mode: parseInt(match[3] ?? "0", 8), rdev: rdev >>> 0 };
}
