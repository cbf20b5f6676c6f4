import type { BigIntStats } from "node:fs";
import type { LayerRecord, LayerRecords } from "../../overlay/layer-records.ts";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { HostTree } from "../tree/host-tree.ts";
import { fileTypes, isSame, type Node, type Place } from "../tree/node.ts";

/** Where a node's file is: in the layer, below it, or, a directory, in both. */
interface Sides {
  upper: Node | null;
  lower: Node | null;
}

/** Where the files are that the guest knows: each node of the guest's holds one of the layer's tree, one of the host's, or both. */
export class OverlaySides {
  readonly #upper: HostTree;
  readonly #lower: HostTree;
  readonly #records: LayerRecords;
  readonly #otherPlace: (directory: Node) => void;
  readonly #nodes = new Map<Node, Sides>();
  readonly #root: Node;

  /**
   * @param root the guest's node of the directory
   * @param otherPlace called when the host's directory is another one
   */
  constructor(
    { upper, lower }: { readonly upper: HostTree; readonly lower: HostTree },
    root: Node,
    records: LayerRecords,
    otherPlace: (directory: Node) => void,
  ) {
    this.#upper = upper;
    this.#lower = lower;
    this.#root = root;
    this.#records = records;
    this.#otherPlace = otherPlace;
    this.#nodes.set(root, { upper: null, lower: lower.nodes.root });
  }

  /** Finds out where what was found at a place is. */
  attach(node: Node, { parent, name }: Place): void {
    const above = this.of(parent);
    const sides = this.#nodes.get(node) ?? { upper: null, lower: null };
    this.#nodes.set(node, sides);
    const upper = this.upperEntry(parent, name);
    const isUpper = upper !== undefined && isSame(node, upper);
    const lower = this.lowerEntry(parent, name);
    const isLower =
      lower !== undefined && (isUpper ? upper.isDirectory() && lower.isDirectory() : isSame(node, lower));
    sides.upper = told(this.#upper, sides.upper, above.upper, name, isUpper ? upper : undefined);
    const before = sides.lower;
    sides.lower = told(this.#lower, before, above.lower, name, isLower ? lower : undefined);
    // Watched is the host's, where it has one.
    if (node.identity.type === fileTypes.directory && sides.lower !== before) this.#otherPlace(node);
  }

  /**
   * A directory that the guest has made, the host may have by now, too: by itself, or because changes were applied. What is removed then
   * is to stay removed when the guest looks again.
   */
  refresh(directory: Node): void {
    const way: Node[] = [];
    for (let each = directory; this.of(each).lower === null;) {
      const [place] = each.places;
      if (place === undefined) return;
      way.push(each);
      each = place.parent;
    }
    for (const each of way.reverse()) {
      const [place] = each.places;
      if (place !== undefined) this.attach(each, place);
      if (this.of(each).lower === null) return;
    }
  }

  /** The guest knows a node no more. */
  forget(node: Node): void {
    const sides = this.#nodes.get(node);
    this.#nodes.delete(node);
    if (sides === undefined) return;
    if (sides.upper !== null) this.#upper.nodes.forget(sides.upper.id, 1);
    if (sides.lower !== null) this.#lower.nodes.forget(sides.lower.id, 1);
  }

  /** What the layer has there. */
  upperEntry(parent: Node, name: string): BigIntStats | undefined {
    const { upper } = this.of(parent);
    return upper === null ? undefined : this.#upper.statEntry(upper, name);
  }

  /** What the host has there, unless the guest has deleted it. */
  lowerEntry(parent: Node, name: string): BigIntStats | undefined {
    const { lower } = this.of(parent);
    if (lower === null || this.recordOf(parent)?.children?.get(name)?.isHidden === true) return undefined;
    try {
      return this.#lower.statEntry(lower, name);
    } catch (error) {
      // The host has removed the directory.
      if (error instanceof Refusal && error.errno === errno.stale) return undefined;
      throw error;
    }
  }

  /** @throws Refusal ESTALE */
  of(node: Node): Sides {
    const sides = this.#nodes.get(node);
    if (sides === undefined) throw new Refusal(errno.stale);
    return sides;
  }

  /** What the guest sees of it: the layer's, if there is one. @throws Refusal ESTALE */
  shown(node: Node): [HostTree, Node] {
    const { upper, lower } = this.of(node);
    if (upper !== null) return [this.#upper, upper];
    if (lower !== null) return [this.#lower, lower];
    throw new Refusal(errno.stale);
  }

  /** What the journal says of it. */
  recordOf(directory: Node): LayerRecord | undefined {
    return this.#records.root.children === null ? undefined : this.#records.find(this.pathOf(directory));
  }

  /** Below the directory that is served; empty for that one. @throws Refusal ESTALE for what has no name any more */
  pathOf(node: Node): string {
    const names: string[] = [];
    for (let each = node; each !== this.#root;) {
      const [place] = each.places;
      if (place === undefined) throw new Refusal(errno.stale);
      names.push(place.name);
      each = place.parent;
    }
    return names.reverse().join("/");
  }
}

/** A node of a tree for as long as it is what its place has. */
function told(
  tree: HostTree,
  had: Node | null,
  parent: Node | null,
  name: string,
  stat: BigIntStats | undefined,
): Node | null {
  if (had !== null && stat !== undefined && parent !== null && isSame(had, stat)) {
    tree.nodes.addPlace(had, { parent, name });
    return had;
  }
  const now = stat === undefined || parent === null ? null : tree.nodes.tell({ parent, name }, stat);
  if (had !== null) tree.nodes.forget(had.id, 1);
  return now;
}
