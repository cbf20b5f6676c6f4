import { flag, none, root, type Tree } from "../erofs/tree.ts";

/**
 * Puts a layer's tree below the tree of the layers above it, as overlayfs would show the two.
 *
 * @param upper takes what it does not hide
 * @param taken called with the inode of everything that shows now, unless it is a directory that was there already
 */
export function mergeBelow(upper: Tree, lower: Tree, taken: (inode: number) => void): void {
  /** Pairs of directories that are still to be merged: the lower one, then the upper one. */
  const open: number[] = [root, root];
  for (;;) {
    const above = open.pop();
    const below = open.pop();
    if (above === undefined || below === undefined) return;
    takeAttributes(upper, above, lower, below);
    if (upper.has(above, flag.opaque)) continue;
    for (const entry of lower.children(below)) {
      const existing = upper.lookup(above, lower.name(entry));
      if (existing === none) {
        const adopted = upper.adopt(above, lower, entry);
        if (lower.isDirectory(entry)) {
          // It closes once its own content is in.
          upper.unmark(adopted, flag.opaque);
          open.push(entry, adopted);
        } else if (!lower.has(entry, flag.whiteout)) taken(lower.inodeOf(entry));
      } else if (upper.isDirectory(existing)) {
        if (lower.isDirectory(entry)) open.push(entry, existing);
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
 * @param target path from the root
 * @returns its inode; "unknown" when this layer says nothing about it; "missing" when it says that there is none
 */
export function findLinkTarget(tree: Tree, target: string): number | "unknown" | "missing" {
  let at = root;
  const components = target.split("/");
  tree.budget.steps(components.length);
  for (const [index, component] of components.entries()) {
    const next = tree.lookup(at, component);
    if (next === none) return tree.isClosed(at) ? "missing" : "unknown";
    if (tree.has(next, flag.whiteout)) return "missing";
    const isLast = index === components.length - 1;
    if (isLast === tree.isDirectory(next)) return "missing";
    at = next;
  }
  return tree.inodeOf(at);
}
