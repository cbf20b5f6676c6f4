import { blockBytes, entryTypeOf } from "./format.ts";
import { flag, root, type Tree } from "./tree.ts";

/** struct erofs_dirent: nid (8 bytes), place of the name (2), type (1), reserved (1). */
const direntBytes = 12;
/** Stand among a directory's children for `.` and `..`. */
const dot = 0xffff_ffff;
const dotDot = 0xffff_fffe;
const dots = Buffer.from("..");

/**
 * The directories of a finished tree in the order of the image: breadth first, so that the inodes of one directory
 * stand together, and names in order of their bytes, as the kernel's binary search wants them. Works on numbers alone,
 * so that a directory of a million names costs no more memory than a million directories.
 */
export class SortedTree {
  readonly tree: Tree;
  /** The names of one directory stand together, `.` and `..` among them: names such as `-` and `.-` come before. */
  readonly #order: Uint32Array;
  /** By the directory's entry: where its names start in the order, and how many they are. */
  readonly #first: Uint32Array;
  readonly #count: Uint32Array;
  /** Directories in the order of the image, the root first. */
  readonly directories: Uint32Array;
  readonly #block = Buffer.alloc(blockBytes);

  constructor(tree: Tree) {
    this.tree = tree;
    // What is not written takes no memory.
    this.#order = new Uint32Array(tree.count * 3);
    this.#first = new Uint32Array(tree.count);
    this.#count = new Uint32Array(tree.count);
    const directories = new Uint32Array(tree.count);
    let found = 1; // The root is the first, and its number is 0.
    let filled = 0;
    for (let next = 0; next < found; next++) {
      const directory = directories[next] ?? root;
      const first = filled;
      this.#order[filled++] = dot;
      this.#order[filled++] = dotDot;
      for (const child of tree.children(directory)) {
        if (!tree.has(child, flag.whiteout)) this.#order[filled++] = child;
      }
      const names = this.#order.subarray(first, filled);
      names.sort((a, b) => this.#compare(a, b));
      this.#first[directory] = first;
      this.#count[directory] = names.length;
      for (const child of names) if (child < dotDot && tree.isDirectory(child)) directories[found++] = child;
    }
    this.directories = directories.subarray(0, found);
  }

  *children(directory: number): Generator<number> {
    for (const entry of this.#names(directory)) if (entry < dotDot) yield entry;
  }

  /** Bytes of a directory's content: whole blocks, then as much of the last one as is used. */
  directoryBytes(directory: number): number {
    let full = 0;
    let used = 0;
    for (const entry of this.#names(directory)) {
      const more = direntBytes + this.#length(entry);
      if (used + more > blockBytes) {
        full += blockBytes;
        used = 0;
      }
      used += more;
    }
    return full + used;
  }

  /**
   * The content, block by block: in each its entries, then their names. Numbers of inodes must have been given. The
   * buffer is used again, for other directories too; the last block is as long as it is used.
   */
  *directoryBlocks(directory: number): Generator<Buffer> {
    const names = this.#names(directory);
    const block = this.#block;
    for (let first = 0; first < names.length;) {
      let end = first;
      let used = 0;
      for (; end < names.length; end++) {
        const more = direntBytes + this.#length(names[end] ?? dot);
        if (used + more > blockBytes) break;
        used += more;
      }
      block.fill(0);
      let nameAt = (end - first) * direntBytes;
      for (let index = first; index < end; index++) {
        const entry = names[index] ?? dot;
        this.#writeEntry(block, (index - first) * direntBytes, nameAt, directory, entry);
        nameAt += this.#length(entry);
      }
      yield end === names.length ? block.subarray(0, used) : block;
      first = end;
    }
  }

  #writeEntry(block: Buffer, at: number, nameAt: number, directory: number, entry: number): void {
    const { inodes } = this.tree;
    const inode = this.#inode(directory, entry);
    block.writeUInt32LE(inodes.nid[inode] ?? 0, at);
    block.writeUInt16LE(nameAt, at + 8);
    block[at + 10] = entryTypeOf(inodes.mode[inode] ?? 0);
    block.set(this.#name(entry), nameAt);
  }

  #inode(directory: number, entry: number): number {
    const { tree } = this;
    if (entry === dot) return tree.inodeOf(directory);
    if (entry === dotDot) return tree.inodeOf(tree.parent[directory] ?? root);
    return tree.inodes.resolve(tree.inodeOf(entry));
  }

  #names(directory: number): Uint32Array {
    const first = this.#first[directory] ?? 0;
    return this.#order.subarray(first, first + (this.#count[directory] ?? 0));
  }

  #length(entry: number): number {
    if (entry >= dotDot) return entry === dot ? 1 : 2;
    return this.tree.nameLength[entry] ?? 0;
  }

  #name(entry: number): Buffer {
    return entry >= dotDot ? dots.subarray(0, this.#length(entry)) : this.tree.nameBytes(entry);
  }

  #compare(a: number, b: number): number {
    if (a >= dotDot || b >= dotDot) return Buffer.compare(this.#name(a), this.#name(b));
    const { names, nameAt, nameLength } = this.tree;
    return names.compare(nameAt[a] ?? 0, nameLength[a] ?? 0, nameAt[b] ?? 0, nameLength[b] ?? 0);
  }
}
