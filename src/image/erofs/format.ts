/**
 * The EROFS on-disk format, as far as this package writes it. Start here, then `image.ts`.
 *
 * Source: Linux 6.1, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst. All numbers are little-endian.
 *
 *     block 0        1024 bytes for others (a seal, host/files/sealed-file.ts), then the superblock
 *     data           contents of files, each from a block's start, in the order in which they arrived
 *     plain blocks   directories and symbolic links that are too large to stand behind their inode
 *     metadata       inodes, each followed by its extended attributes and its inline data, in slots of 32 bytes
 *
 * Every inode is an extended one (64 bytes): the compact one has neither a time nor 32-bit owners. Files are
 * FLAT_PLAIN, so that a read goes straight to consecutive blocks. Files with holes are CHUNK_BASED: an array of block
 * addresses in which a hole takes no block. Directories and symbolic links are FLAT_INLINE when small.
 */
export const blockBits = 12;
export const blockBytes = 1 << blockBits;
/** Of the metadata: an inode's number (nid) counts slots from the metadata's start. */
export const slotBytes = 32;
export const inodeBytes = 64;
/** The highest block address; the one after it means "no block". */
export const maximumBlocks = 0xffff_ffff;
export const noBlock = 0xffff_ffff;
const superblockOffset = 1024;

/** Linux file types, the high bits of st_mode. */
export const fileType = {
  mask: 0o170000,
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;

/** The type byte of a directory entry, by the high bits of st_mode: enum erofs file types, as in linux/fs_types.h. */
const entryTypes: Readonly<Record<number, number>> = {
  [fileType.file]: 1,
  [fileType.directory]: 2,
  [fileType.character]: 3,
  [fileType.block]: 4,
  [fileType.fifo]: 5,
  [fileType.symlink]: 7,
};

export function entryTypeOf(mode: number): number {
  return entryTypes[mode & fileType.mask] ?? 0;
}

export const layout = { plain: 0, inline: 2, chunks: 4 } as const;
export type Layout = (typeof layout)[keyof typeof layout];

const magic = 0xe0f5_e1e2;
const compatChecksum = 0x1;
const compatMtime = 0x2;
const incompatChunks = 0x4;

export interface Superblock {
  readonly rootNid: number;
  readonly inodes: number;
  /** Of the whole image. */
  readonly blocks: number;
  /** Block at which the metadata starts. */
  readonly metadataBlock: number;
  readonly uuid: Uint8Array;
  readonly chunks: boolean;
}

/** Block 0 of an image. */
export function encodeSuperblock(superblock: Superblock): Buffer {
  const block = Buffer.alloc(blockBytes);
  const at = superblockOffset;
  block.writeUInt32LE(magic, at);
  block.writeUInt32LE(compatChecksum | compatMtime, at + 8);
  block[at + 12] = blockBits;
  block.writeUInt16LE(superblock.rootNid, at + 14);
  block.writeBigUInt64LE(BigInt(superblock.inodes), at + 16);
  // The build time stays 0: extended inodes carry their own.
  block.writeUInt32LE(superblock.blocks, at + 36);
  block.writeUInt32LE(superblock.metadataBlock, at + 40);
  block.set(superblock.uuid.subarray(0, 16), at + 48);
  block.writeUInt32LE(superblock.chunks ? incompatChunks : 0, at + 80);
  block.writeUInt32LE(crc32c(block.subarray(at)), at + 4);
  return block;
}

export interface InodeFields {
  readonly layout: Layout;
  /** Bytes of the attributes behind the inode, header included; 0 for none. */
  readonly xattrBytes: number;
  readonly mode: number;
  readonly size: number;
  /** First block, device number or chunk format. */
  readonly union: number;
  /** For programs with 32-bit inode numbers. */
  readonly shortNumber: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly links: number;
}

/** struct erofs_inode_extended */
export function encodeInode(into: Buffer, at: number, inode: InodeFields): void {
  into.writeUInt16LE(1 | (inode.layout << 1), at);
  into.writeUInt16LE(inode.xattrBytes === 0 ? 0 : (inode.xattrBytes - 12) / 4 + 1, at + 2);
  into.writeUInt16LE(inode.mode, at + 4);
  into.writeUInt16LE(0, at + 6);
  writeUInt64(into, inode.size, at + 8);
  into.writeUInt32LE(inode.union, at + 16);
  into.writeUInt32LE(inode.shortNumber >>> 0, at + 20);
  into.writeUInt32LE(inode.uid, at + 24);
  into.writeUInt32LE(inode.gid, at + 28);
  into.writeBigInt64LE(BigInt(inode.seconds), at + 32);
  into.writeUInt32LE(inode.nanoseconds, at + 40);
  into.writeUInt32LE(inode.links, at + 44);
  into.fill(0, at + 48, at + inodeBytes);
}

function writeUInt64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % 2 ** 32, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** include/linux/kdev_t.h, new_encode_dev(): major below 4096, minor below 1,048,576. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

const crcTable = new Uint32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78;
  return crc;
});

/** Castagnoli's CRC as the kernel's crc32c(~0, …): without the inversion at the end. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc >>> 0;
}
