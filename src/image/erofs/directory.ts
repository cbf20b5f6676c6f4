import { blockBytes, entryTypeOf } from "./format.ts";
import { flag, root, type Tree } from "./tree.ts";

/** struct erofs_dirent: nid (8 bytes), place of the name (2), type (1), reserved (1). */
const direntBytes = 12;
const dot = Buffer.from(".");
const dotDot = Buffer.from("..");

/**
 * The directories of a finished tree in the order of the image: breadth first, so that the inodes of one directory
 * stand together, and names in order of their bytes, as the kernel's binary search wants them.
 */
export class SortedTree {
  readonly tree: Tree;
  /** All entries but the root; the children of one directory stand together. */
  readonly #order: Uint32Array;
  /** By the directory's entry: where its children start in the order, and how many they are. */
  readonly #first: Uint32Array;
  readonly #count: Uint32Array;
  /** Directories in the order of the image, the root first. */
  readonly directories: readonly number[];

  constructor(tree: Tree) {
    this.tree = tree;
    this.#order = new Uint32Array(tree.count);
    this.#first = new Uint32Array(tree.count);
    this.#count = new Uint32Array(tree.count);
    const directories = [root];
    let filled = 0;
    for (let next = 0; next < directories.length; next++) {
      const directory = directories[next] ?? root;
      const children = [...tree.children(directory)].filter((child) => !tree.has(child, flag.whiteout));
      children.sort((a, b) => Buffer.compare(tree.nameBytes(a), tree.nameBytes(b)));
      this.#first[directory] = filled;
      this.#count[directory] = children.length;
      this.#order.set(children, filled);
      filled += children.length;
      for (const child of children) if (tree.isDirectory(child)) directories.push(child);
    }
    this.directories = directories;
  }

  children(directory: number): Uint32Array {
    const first = this.#first[directory] ?? 0;
    return this.#order.subarray(first, first + (this.#count[directory] ?? 0));
  }

  /** Bytes of a directory's content: whole blocks, then as much of the last one as is used. */
  directoryBytes(directory: number): number {
    let full = 0;
    let used = 0;
    for (const name of this.#names(directory)) {
      const more = direntBytes + name.length;
      if (used + more > blockBytes) {
        full += blockBytes;
        used = 0;
      }
      used += more;
    }
    return full + used;
  }

  /** The content: in each block its entries, then their names. Numbers of inodes must have been given. */
  directoryContent(directory: number): Buffer {
    const content = Buffer.alloc(this.directoryBytes(directory));
    const { inodes } = this.tree;
    let block: { name: Buffer; inode: number }[] = [];
    let used = 0;
    let start = 0;
    const writeBlock = (): void => {
      let nameAt = block.length * direntBytes;
      for (const [index, { name, inode }] of block.entries()) {
        const at = start + index * direntBytes;
        content.writeUInt32LE(inodes.nid[inode] ?? 0, at);
        content.writeUInt16LE(nameAt, at + 8);
        content[at + 10] = entryTypeOf(inodes.mode[inode] ?? 0);
        content.set(name, start + nameAt);
        nameAt += name.length;
      }
      start += blockBytes;
    };
    for (const { name, inode } of this.#entries(directory)) {
      const more = direntBytes + name.length;
      if (used + more > blockBytes) {
        writeBlock();
        block = [];
        used = 0;
      }
      block.push({ name, inode });
      used += more;
    }
    writeBlock();
    return content;
  }

  *#names(directory: number): Generator<Buffer> {
    for (const { name } of this.#entries(directory)) yield name;
  }

  /** The children with `.` and `..` where they belong: names such as `-` and `.-` come before them. */
  *#entries(directory: number): Generator<{ name: Buffer; inode: number }> {
    const { tree } = this;
    const own = { name: dot, inode: tree.inodeOf(directory) };
    const parent = { name: dotDot, inode: tree.inodeOf(tree.parent[directory] ?? root) };
    const special = [own, parent];
    for (const child of this.children(directory)) {
      const name = tree.nameBytes(child);
      while (special[0] !== undefined && Buffer.compare(special[0].name, name) < 0) {
        yield special[0];
        special.shift();
      }
      yield { name, inode: tree.inodes.resolve(tree.inodeOf(child)) };
    }
    yield* special;
  }
}
