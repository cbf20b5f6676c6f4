import type { Budget } from "./budget.ts";
import { ByteArena, longer, nextLength, NumberArena } from "./columns.ts";
import { fileType, noBlock } from "./format.ts";
import { XattrTable } from "./xattrs.ts";

/** What a file has besides its content and its names. */
export interface Attributes {
  /** Type and permission bits, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly xattrs: ReadonlyMap<string, string>;
}

const noXattrs: ReadonlyMap<string, string> = new Map();

/** Of directories that an archive names only as part of a path. */
export const impliedDirectory: Attributes = {
  mode: fileType.directory | 0o755,
  uid: 0,
  gid: 0,
  seconds: 0,
  nanoseconds: 0,
  xattrs: noXattrs,
};

/**
 * The inodes of an image in the making, in columns: about 60 bytes for each. An inode may have many names in one or
 * more {@link Tree}s, or none any more.
 */
export class Inodes {
  readonly budget: Budget;
  readonly xattrTable: XattrTable;
  /** Targets of symbolic links. */
  readonly targets = new ByteArena();
  /** First blocks of the chunks of files with holes. */
  readonly #chunks = new NumberArena();
  /** Of inodes that turned out to be another one, 1 + that one: hard links to files of lower layers. */
  #aliases = new Uint32Array(0);
  #count = 0;
  mode = new Uint16Array(1024);
  uid = new Uint32Array(1024);
  gid = new Uint32Array(1024);
  seconds = new Float64Array(1024);
  nanoseconds = new Uint32Array(1024);
  size = new Float64Array(1024);
  /**
   * First block of a file, place of a chunk map, device number, or place of a link's target; set by the layout for
   * directories.
   */
  start = new Uint32Array(1024);
  /** Of a file with holes, the bits of a chunk's size in bytes; 0 for all else. */
  chunkBits = new Uint8Array(1024);
  /** In the {@link XattrTable}; 0 for none. */
  xattrs = new Uint32Array(1024);
  /** Names, counted by the layout. */
  links = new Uint32Array(1024);
  /** Slot in the metadata, given by the layout; 0 before. */
  nid = new Uint32Array(1024);
  /** 1 + the number of the archive's entry whose data was passed over, 0 when the data is in the image. */
  passedOver = new Uint32Array(1024);

  constructor(budget: Budget) {
    this.budget = budget;
    this.xattrTable = new XattrTable(budget);
  }

  get count(): number {
    return this.#count;
  }

  add(attributes: Attributes): number {
    const inode = this.#count++;
    if (inode === this.mode.length) this.#grow(nextLength(inode, this.budget.limits.maxEntries));
    this.mode[inode] = attributes.mode;
    this.uid[inode] = attributes.uid;
    this.gid[inode] = attributes.gid;
    this.seconds[inode] = attributes.seconds;
    this.nanoseconds[inode] = attributes.nanoseconds;
    if (attributes.xattrs.size > 0) this.xattrs[inode] = this.xattrTable.add(attributes.xattrs);
    return inode;
  }

  addSymlink(attributes: Attributes, target: string): number {
    this.budget.metadata(target.length);
    const inode = this.add(attributes);
    this.size[inode] = target.length;
    this.start[inode] = this.targets.append(target);
    return inode;
  }

  target(symlink: number): string {
    return this.targets.text(this.start[symlink] ?? 0, this.size[symlink] ?? 0);
  }

  /** Gives a file with holes a map without any chunk in it; its size must be known. */
  addChunks(inode: number, bits: number): void {
    const count = this.#chunkCount(inode, bits);
    this.budget.metadata(4 * count);
    this.chunkBits[inode] = bits;
    this.start[inode] = this.#chunks.add(count);
    this.#chunks.row(this.start[inode] ?? 0, count).fill(noBlock);
  }

  /** First block of each chunk of a file with holes, not a copy; null for all else. */
  chunksOf(inode: number): Uint32Array | null {
    const bits = this.chunkBits[inode] ?? 0;
    return bits === 0 ? null : this.#chunks.row(this.start[inode] ?? 0, this.#chunkCount(inode, bits));
  }

  #chunkCount(inode: number, bits: number): number {
    return Math.ceil((this.size[inode] ?? 0) / 2 ** bits);
  }

  typeOf(inode: number): number {
    return (this.mode[inode] ?? 0) & fileType.mask;
  }

  /** From now on `inode` is `target`. */
  alias(inode: number, target: number): void {
    // Most images have none.
    if (inode >= this.#aliases.length) this.#aliases = longer(this.#aliases, this.mode.length);
    this.#aliases[inode] = target + 1;
  }

  /** The inode that `inode` stands for. */
  resolve(inode: number): number {
    let resolved = inode;
    for (;;) {
      const next = this.#aliases[resolved] ?? 0;
      if (next === 0) return resolved;
      resolved = next - 1;
    }
  }

  #grow(length: number): void {
    this.mode = longer(this.mode, length);
    this.uid = longer(this.uid, length);
    this.gid = longer(this.gid, length);
    this.seconds = longer(this.seconds, length);
    this.nanoseconds = longer(this.nanoseconds, length);
    this.size = longer(this.size, length);
    this.start = longer(this.start, length);
    this.chunkBits = longer(this.chunkBits, length);
    this.xattrs = longer(this.xattrs, length);
    this.links = longer(this.links, length);
    this.nid = longer(this.nid, length);
    this.passedOver = longer(this.passedOver, length);
  }
}
