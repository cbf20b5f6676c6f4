import { errno, rootNodeId } from "../../file-server/fuse/numbers.ts";
import { Refusal } from "../../file-server/fuse/refusal.ts";
import type { CheckedStat } from "./checked-stat.ts";

/** A file that the guest's kernel knows by number. A provider knows it by its path. */
export interface ProvidedNode {
  readonly id: number;
  readonly kind: CheckedStat["kind"];
  /** The provider's own number of it, once it has told one. */
  fileId: number | null;
  /** null for the root. */
  parent: ProvidedNode | null;
  name: string;
  /** How often the kernel was told the number and has not forgotten it. */
  lookups: number;
  /** Of the known ones in a directory, by name. */
  children: Map<string, ProvidedNode> | null;
  /** Handles. */
  open: number;
  /** It has lost its name: it was removed or replaced. */
  isGone: boolean;
  /** The name in the root under which it waits for its last handle to be closed. */
  removedName: string | null;
}

/** Each takes some 300 bytes and its name. A guest that never forgets gets no more. */
const mostNodes = 1 << 18;
const mostNameBytes = 32 << 20;
/** Characters; PATH_MAX does not count for paths that are walked step by step. */
const longestWhole = 65_536;

/** All nodes that the guest's kernel may name. */
export class ProvidedNodes {
  readonly root: ProvidedNode;
  readonly #byId = new Map<number, ProvidedNode>();
  readonly #most: number;
  #nameBytes = 0;
  #nextId = rootNodeId + 1;

  constructor(most: number = mostNodes) {
    this.#most = most;
    this.root = this.#make(rootNodeId, "directory", null, "", null);
    // The kernel never looks it up and never forgets it.
    this.root.lookups = 1;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Whether the kernel is told of no more files before it forgets some. */
  get isFull(): boolean {
    return this.#byId.size >= this.#most || this.#nameBytes >= mostNameBytes;
  }

  /** @throws Refusal ESTALE for a number that was never given or has been forgotten */
  get(id: number): ProvidedNode {
    const node = this.#byId.get(id);
    if (node === undefined) throw new Refusal(errno.stale);
    return node;
  }

  child(parent: ProvidedNode, name: string): ProvidedNode | undefined {
    return parent.children?.get(name);
  }

  /** @throws Refusal ESTALE for one without a name; ENAMETOOLONG */
  pathOf(node: ProvidedNode): string {
    if (node.removedName !== null) return `/${node.removedName}`;
    const names: string[] = [];
    let length = 0;
    for (let at = node; at.parent !== null; at = at.parent) {
      if (at.isGone) throw new Refusal(errno.stale);
      names.push(at.name);
      length += at.name.length + 1;
      if (length > longestWhole) throw new Refusal(errno.nametoolong);
    }
    return `/${names.reverse().join("/")}`;
  }

  /** The path of an entry. @throws as {@link pathOf} */
  pathIn(parent: ProvidedNode, name: string): string {
    const above = this.pathOf(parent);
    return above === "/" ? `/${name}` : `${above}/${name}`;
  }

  /** Whether a file that was found is the one that is known. */
  isSame(node: ProvidedNode, { kind, id }: CheckedStat): boolean {
    return node.kind === kind && (id === null || node.fileId === null || node.fileId === id);
  }

  /** The node of a file that was found at a place. The kernel is told it, and forgets it later. @throws Refusal ENFILE, ESTALE */
  tell(parent: ProvidedNode, name: string, stat: CheckedStat): ProvidedNode {
    if (this.#byId.get(parent.id) !== parent || parent.isGone) throw new Refusal(errno.stale);
    let node = this.child(parent, name);
    if (node !== undefined && !this.isSame(node, stat)) {
      this.detach(node);
      node = undefined;
    }
    if (node === undefined) {
      if (this.isFull) throw new Refusal(errno.nfile);
      node = this.#make(this.#nextId++, stat.kind, parent, name, stat.id);
      (parent.children ??= new Map()).set(name, node);
    }
    node.fileId ??= stat.id;
    node.lookups++;
    return node;
  }

  /** The kernel has forgotten that it was told a node so many times. */
  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (node === undefined || node === this.root) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.dropUnused(node);
  }

  /** A file has lost its name. */
  detach(node: ProvidedNode): void {
    const { parent } = node;
    if (parent === null || node.isGone) return;
    node.isGone = true;
    this.#leave(parent, node);
    this.dropUnused(node);
  }

  /** A file has another name now, and whatever had that has none. */
  move(node: ProvidedNode, parent: ProvidedNode, name: string): void {
    const before = node.parent;
    if (before === null || node.isGone) return;
    const replaced = this.child(parent, name);
    if (replaced === node) return;
    // Put in first: a directory that has nothing any more may be dropped.
    (parent.children ??= new Map()).set(name, node);
    if (replaced !== undefined) this.detach(replaced);
    this.#nameBytes += name.length;
    const oldName = node.name;
    node.parent = parent;
    node.name = name;
    this.#nameBytes -= oldName.length;
    before.children?.delete(oldName);
    this.dropUnused(before);
  }

  /** Whether a directory is another one, or below it. */
  isWithin(node: ProvidedNode, above: ProvidedNode): boolean {
    for (let at: ProvidedNode | null = node; at !== null; at = at.parent) if (at === above) return true;
    return false;
  }

  /** Called when a handle of the node was closed, too. */
  dropUnused(node: ProvidedNode): void {
    // Not by recursion: a guest makes trees as deep as it likes.
    for (let at: ProvidedNode | null = node; at !== null && at !== this.root;) {
      if (at.lookups > 0 || at.open > 0 || (at.children?.size ?? 0) > 0 || !this.#byId.delete(at.id)) return;
      this.#nameBytes -= at.name.length;
      const parent: ProvidedNode | null = at.parent;
      if (parent !== null && !at.isGone && parent.children?.get(at.name) === at)
        parent.children.delete(at.name);
      at.isGone = true;
      at = parent;
    }
  }

  /** All that wait for their last handle to be closed. One that was put aside and has not lost its name yet is none of them. */
  removed(): ProvidedNode[] {
    return [...this.#byId.values()].filter(({ removedName, isGone }) => removedName !== null && isGone);
  }

  #leave(parent: ProvidedNode, node: ProvidedNode): void {
    if (this.child(parent, node.name) === node) parent.children?.delete(node.name);
    this.dropUnused(parent);
  }

  #make(
    id: number,
    kind: CheckedStat["kind"],
    parent: ProvidedNode | null,
    name: string,
    fileId: number | null,
  ): ProvidedNode {
    const node = {
      ...{ id, kind, fileId, parent, name },
      ...{ lookups: 0, children: null, open: 0, isGone: false, removedName: null },
    };
    this.#byId.set(id, node);
    this.#nameBytes += name.length;
    return node;
  }
}
