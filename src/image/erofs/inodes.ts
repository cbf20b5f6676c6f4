import type { Budget } from "./budget.ts";
import { ByteArena, longer } from "./columns.ts";
import { fileType } from "./format.ts";
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

/** Where the content of a file with holes is. */
export interface ChunkMap {
  /** Bits of a chunk's size in bytes. */
  readonly bits: number;
  /** First block of each chunk. */
  readonly blocks: Uint32Array;
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
  readonly chunkMaps = new Map<number, ChunkMap>();
  /** Inodes that turned out to be another one: hard links to files of lower layers. */
  readonly #aliases = new Map<number, number>();
  #count = 0;
  mode = new Uint16Array(1024);
  uid = new Uint32Array(1024);
  gid = new Uint32Array(1024);
  seconds = new Float64Array(1024);
  nanoseconds = new Uint32Array(1024);
  size = new Float64Array(1024);
  /** First block of a file, device number, or place of a link's target; set by the layout for directories. */
  start = new Uint32Array(1024);
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
    if (inode === this.mode.length) this.#grow(inode * 2);
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

  typeOf(inode: number): number {
    return (this.mode[inode] ?? 0) & fileType.mask;
  }

  /** From now on `inode` is `target`. */
  alias(inode: number, target: number): void {
    this.#aliases.set(inode, target);
  }

  /** The inode that `inode` stands for. */
  resolve(inode: number): number {
    if (this.#aliases.size === 0) return inode;
    let resolved = inode;
    for (;;) {
      const next = this.#aliases.get(resolved);
      if (next === undefined) return resolved;
      resolved = next;
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
    this.xattrs = longer(this.xattrs, length);
    this.links = longer(this.links, length);
    this.nid = longer(this.nid, length);
    this.passedOver = longer(this.passedOver, length);
  }
}
