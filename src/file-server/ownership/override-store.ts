import { closeSync, constants, type BigIntStats } from "node:fs";
import { keptOverride } from "../../overlay/guest-attributes.ts";
import { fileTypes, typeOf, type Node, type Override } from "../tree/node.ts";
import type { ServedFiles } from "../tree/served-files.ts";

/** Only these may have extended attributes of users (xattr(7)). */
export function canKeep(type: number): boolean {
  return type === fileTypes.regular || type === fileTypes.directory;
}

/** What is kept with a file; read again only when the file has changed. */
export function readOverride(tree: ServedFiles, node: Node, stat: BigIntStats): Override | null {
  if (node.overrideAtNs === stat.ctimeNs) return node.override;
  if (!canKeep(typeOf(stat))) return node.override;
  let fd = -1;
  try {
    fd = tree.open(node, constants.O_RDONLY | constants.O_NONBLOCK);
    node.override = keptOverride(fd);
  } catch {
    // It may not be read, or its file system keeps none.
  } finally {
    if (fd >= 0) closeSync(fd);
  }
  node.overrideAtNs = stat.ctimeNs;
  return node.override;
}
