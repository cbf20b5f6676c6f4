import type { Budget } from "./budget.ts";
import { type ByteArena, longer, nextLength } from "./columns.ts";
import { impliedDirectory, type Inodes } from "./inodes.ts";
import { fileType } from "./format.ts";
import { hashName } from "./hash.ts";

/** Of a name in a tree. */
export const flag = {
  /** There is nothing of this name, and lower layers' files of this name are hidden. */
  whiteout: 1,
  /** Nothing of lower layers shows in this directory. */
  opaque: 2,
  /** The archive does not name this directory: a lower layer's attributes for it hold. */
  implied: 4,
  /** Replaced: no longer part of the tree. */
  dead: 8,
} as const;

/** Returned where a name does not exist. */
export const none = 0xffff_ffff;
export const root = 0;

/**
 * The names of one layer, or of several merged: directories, and in them names that lead to {@link Inodes}. About 35
 * bytes for each name; names themselves are shared by the trees of an image.
 */
export class Tree {
  readonly inodes: Inodes;
  readonly names: ByteArena;
  #count = 0;
  parent = new Uint32Array(1024);
  inode = new Uint32Array(1024);
  flags = new Uint8Array(1024);
  nameAt = new Uint32Array(1024);
  nameLength = new Uint8Array(1024);
  /** Of a directory; 0 for none, because the root is no one's child. */
  firstChild = new Uint32Array(1024);
  nextSibling = new Uint32Array(1024);
  /** Open addressing: 1 + the entry, 0 for free. */
  #slots = new Uint32Array(4096);

  /** @param names shared by all trees of an image */
  constructor(inodes: Inodes, names: ByteArena) {
    this.inodes = inodes;
    this.names = names;
    this.#append(root, 0, 0, inodes.add(impliedDirectory), flag.implied);
  }

  get count(): number {
    return this.#count;
  }

  get budget(): Budget {
    return this.inodes.budget;
  }

  name(entry: number): string {
    return this.names.text(this.nameAt[entry] ?? 0, this.nameLength[entry] ?? 0);
  }

  nameBytes(entry: number): Buffer {
    return this.names.bytes(this.nameAt[entry] ?? 0, this.nameLength[entry] ?? 0);
  }

  /** From the root, without a slash at its start. */
  path(entry: number): string {
    const parts: string[] = [];
    for (let at = entry; at !== root; at = this.parent[at] ?? root) parts.push(this.name(at));
    return parts.reverse().join("/");
  }

  has(entry: number, wanted: number): boolean {
    return ((this.flags[entry] ?? 0) & wanted) !== 0;
  }

  mark(entry: number, added: number): void {
    this.flags[entry] = (this.flags[entry] ?? 0) | added;
  }

  unmark(entry: number, removed: number): void {
    this.flags[entry] = (this.flags[entry] ?? 0) & ~removed;
  }

  inodeOf(entry: number): number {
    return this.inode[entry] ?? 0;
  }

  typeOf(entry: number): number {
    return this.has(entry, flag.whiteout) ? 0 : this.inodes.typeOf(this.inodeOf(entry));
  }

  isDirectory(entry: number): boolean {
    return this.typeOf(entry) === fileType.directory;
  }

  /** Whether nothing of lower layers shows in this directory, because it or one above it is opaque. */
  isClosed(directory: number): boolean {
    for (let at = directory; at !== root; at = this.parent[at] ?? root) {
      if (this.has(at, flag.opaque)) return true;
    }
    return this.has(root, flag.opaque);
  }

  /** @returns the entry, which may be a whiteout, or `none` */
  lookup(directory: number, name: string): number {
    const slot = this.#find(directory, name);
    return (this.#slots[slot] ?? 0) === 0 ? none : (this.#slots[slot] ?? 0) - 1;
  }

  /** Adds a name that the directory does not have. */
  add(directory: number, name: string, inode: number, flags: number): number {
    this.budget.metadata(name.length);
    return this.#link(directory, name, this.names.append(name), inode, flags);
  }

  /** As {@link add}, with a name of another tree of the same image. */
  adopt(directory: number, other: Tree, entry: number): number {
    const at = other.nameAt[entry] ?? 0;
    return this.#link(directory, other.name(entry), at, other.inodeOf(entry), other.flags[entry] ?? 0);
  }

  /** Puts something new in place of an entry and of all below it. */
  replace(old: number, inode: number, flags: number): number {
    const directory = this.parent[old] ?? root;
    const slot = this.#find(directory, this.name(old));
    this.mark(old, flag.dead);
    const entry = this.#append(directory, this.nameAt[old] ?? 0, this.nameLength[old] ?? 0, inode, flags);
    this.#slots[slot] = entry + 1;
    return entry;
  }

  /** The living entries of a directory, in no order that means anything. */
  *children(directory: number): Generator<number> {
    for (let at = this.firstChild[directory] ?? 0; at !== 0; at = this.nextSibling[at] ?? 0) {
      if (!this.has(at, flag.dead)) yield at;
    }
  }

  #link(directory: number, name: string, nameAt: number, inode: number, flags: number): number {
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    const entry = this.#append(directory, nameAt, name.length, inode, flags);
    this.#slots[this.#find(directory, name)] = entry + 1;
    return entry;
  }

  #append(directory: number, nameAt: number, nameLength: number, inode: number, flags: number): number {
    const entry = this.#count++;
    if (entry === this.parent.length) this.#grow(nextLength(entry, this.budget.limits.maxEntries));
    this.parent[entry] = directory;
    this.inode[entry] = inode;
    this.flags[entry] = flags;
    this.nameAt[entry] = nameAt;
    this.nameLength[entry] = nameLength;
    if (entry !== root) {
      this.nextSibling[entry] = this.firstChild[directory] ?? 0;
      this.firstChild[directory] = entry;
    }
    return entry;
  }

  /** The slot of the name, or the free one where it belongs. */
  #find(directory: number, name: string): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashName(directory, name) & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] ?? 0) - 1;
      if (entry === -1) return slot;
      if (this.parent[entry] !== directory) continue;
      if (this.names.equals(this.nameAt[entry] ?? 0, this.nameLength[entry] ?? 0, name)) return slot;
    }
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let entry = 1; entry < this.#count; entry++) {
      if (this.has(entry, flag.dead)) continue;
      this.#slots[this.#find(this.parent[entry] ?? root, this.name(entry))] = entry + 1;
    }
  }

  #grow(length: number): void {
    this.parent = longer(this.parent, length);
    this.inode = longer(this.inode, length);
    this.flags = longer(this.flags, length);
    this.nameAt = longer(this.nameAt, length);
    this.nameLength = longer(this.nameLength, length);
    this.firstChild = longer(this.firstChild, length);
    this.nextSibling = longer(this.nextSibling, length);
  }
}
