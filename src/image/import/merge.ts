import { flag, none, root, type Tree } from "../erofs/tree.ts";
import type { PendingLink } from "./layer-view.ts";

/**
 * Puts a layer's tree below the tree of the layers above it, as overlayfs would show the two.
 *
 * @param upper takes what it does not hide
 * @param taken called with the inode of everything that shows now, unless it is a directory that was there already
 */
export function mergeBelow(upper: Tree, lower: Tree, taken: (inode: number) => void): void {
  const open: (readonly [upper: number, lower: number])[] = [[root, root]];
  for (;;) {
    const next = open.pop();
    if (next === undefined) return;
    const [above, below] = next;
    takeAttributes(upper, above, lower, below);
    if (upper.has(above, flag.opaque)) continue;
    for (const entry of lower.children(below)) {
      const existing = upper.lookup(above, lower.name(entry));
      if (existing === none) {
        const adopted = upper.adopt(above, lower, entry);
        if (lower.isDirectory(entry)) {
          // It closes once its own content is in.
          upper.unmark(adopted, flag.opaque);
          open.push([adopted, entry]);
        } else if (!lower.has(entry, flag.whiteout)) taken(lower.inodeOf(entry));
      } else if (upper.isDirectory(existing)) {
        if (lower.isDirectory(entry)) open.push([existing, entry]);
        // What is no directory ends the merging: layers further below do not show through it.
        else upper.mark(existing, flag.opaque);
      }
    }
    if (lower.has(below, flag.opaque)) upper.mark(above, flag.opaque);
  }
}

function takeAttributes(upper: Tree, above: number, lower: Tree, below: number): void {
  if (!upper.has(above, flag.implied) || lower.has(below, flag.implied)) return;
  upper.inode[above] = lower.inodeOf(below);
  upper.unmark(above, flag.implied);
}

/**
 * Looks for the target of a hard link of an upper layer.
 *
 * @returns its inode, or null when this layer says nothing about it
 * @throws ImageError when this layer says that there is none
 */
export function findLinkTarget(tree: Tree, link: PendingLink): number | null {
  let at = root;
  for (const [index, component] of link.target.entries()) {
    const next = tree.lookup(at, component);
    if (next === none) {
      if (tree.isClosed(at)) throw link.missing();
      return null;
    }
    if (tree.has(next, flag.whiteout)) throw link.missing();
    const isLast = index === link.target.length - 1;
    if (isLast === tree.isDirectory(next)) throw link.missing();
    at = next;
  }
  return tree.inodeOf(at);
}
