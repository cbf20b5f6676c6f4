import { ImageError } from "../../errors/index.ts";
import type { BlockWriter } from "./block-writer.ts";
import type { SortedTree } from "./directory.ts";
import {
  blockBits,
  blockBytes,
  encodeInode,
  fileType,
  inodeBytes,
  layout,
  noBlock,
  slotBytes,
  type Layout,
} from "./format.ts";
import type { Inodes } from "./inodes.ts";
import { root } from "./tree.ts";

/** Content of up to this size stands behind its inode, in the same block. */
const maximumInline = 3072;

export interface MetadataPlace {
  readonly rootNid: number;
  readonly metadataBlock: number;
  readonly inodes: number;
  /** Whether a file is stored in chunks. */
  readonly chunks: boolean;
}

/**
 * Gives every inode that has a name its place, then writes the large directories and links, then the inodes. The data
 * of files must be complete.
 */
export async function writeMetadata(sorted: SortedTree, writer: BlockWriter): Promise<MetadataPlace> {
  const { tree } = sorted;
  const { inodes } = tree;
  const rootInode = tree.inodeOf(root);
  const order: Order = {
    count: 0,
    inodes: new Uint32Array(tree.count),
    entries: new Uint32Array(tree.count),
  };
  add(order, rootInode, root);
  inodes.links[rootInode] = 2;
  for (const directory of sorted.directories) {
    const parent = tree.inodeOf(directory);
    for (const entry of sorted.children(directory)) {
      const inode = inodes.resolve(tree.inodeOf(entry));
      const isDirectory = inodes.typeOf(inode) === fileType.directory;
      if (inodes.links[inode] === 0) add(order, inode, entry);
      inodes.links[inode] = (inodes.links[inode] ?? 0) + (isDirectory ? 2 : 1);
      // Its `..`
      if (isDirectory) inodes.links[parent] = (inodes.links[parent] ?? 0) + 1;
    }
  }
  return place(sorted, writer, order);
}

/** Inodes in the order of the image, each with one of its entries. */
interface Order {
  count: number;
  readonly inodes: Uint32Array;
  readonly entries: Uint32Array;
}

function add(order: Order, inode: number, entry: number): void {
  order.inodes[order.count] = inode;
  order.entries[order.count] = entry;
  order.count++;
}

function* placed(order: Order): Generator<{ readonly inode: number; readonly entry: number }> {
  for (let index = 0; index < order.count; index++) {
    yield { inode: order.inodes[index] ?? 0, entry: order.entries[index] ?? 0 };
  }
}

async function place(sorted: SortedTree, writer: BlockWriter, order: Order): Promise<MetadataPlace> {
  const { inodes } = sorted.tree;
  // Slot 0 stays free, because programs take an inode number of 0 for a deleted entry.
  let at = slotBytes;
  for (const { inode, entry } of placed(order)) {
    const type = inodes.typeOf(inode);
    if (type === fileType.directory) inodes.size[inode] = sorted.directoryBytes(entry);
    at = placeInode(inodes, inode, at);
    const nid = at / slotBytes;
    if (nid > 0xffff_ffff) throw new ImageError("the image has more metadata than fits a root file system");
    inodes.nid[inode] = nid;
    at = Math.ceil((at + bytesOf(inodes, inode)) / slotBytes) * slotBytes;
  }
  let block = writer.align();
  /** First blocks of symbolic links that are too long to stand behind their inode: the metadata limit keeps them few. */
  const linkBlocks = new Map<number, number>();
  for (const { inode, entry } of placed(order)) {
    if (!hasPlainContent(inodes, inode)) continue;
    if (inodes.typeOf(inode) === fileType.directory) inodes.start[inode] = block;
    else linkBlocks.set(inode, block);
    for (const part of contentOf(sorted, inode, entry)) {
      writer.append(part);
      await writer.drained();
    }
    block = writer.align();
  }
  const metadataBlock = block;
  let number = 0;
  let chunks = false;
  for (const { inode, entry } of placed(order)) {
    writer.zeros(metadataBlock * blockBytes + (inodes.nid[inode] ?? 0) * slotBytes - writer.position);
    writeInode(sorted, writer, {
      inode,
      entry,
      number: ++number,
      linkBlock: linkBlocks.get(inode) ?? noBlock,
    });
    chunks ||= inodes.chunksOf(inode) !== null;
    if (number % 1024 === 0) await writer.drained();
  }
  writer.align();
  return { rootNid: inodes.nid[sorted.tree.inodeOf(root)] ?? 0, metadataBlock, inodes: order.count, chunks };
}

/** The next place where the kernel reads this inode without leaving a block in the middle of something. */
function placeInode(inodes: Inodes, inode: number, at: number): number {
  let start = at;
  if (start % blockBytes > blockBytes - inodeBytes) start += blockBytes - (start % blockBytes);
  const inline = inlineBytes(inodes, inode);
  if (inline === 0) return start;
  const tail = (start + inodeBytes + xattrBytes(inodes, inode)) % blockBytes;
  if (tail + inline > blockBytes) {
    const more = blockBytes - tail;
    start += Math.ceil(more / slotBytes) * slotBytes;
    // The move may have brought the inode itself to a block's end.
    return start % blockBytes > blockBytes - inodeBytes ? placeInode(inodes, inode, start) : start;
  }
  return start;
}

function xattrBytes(inodes: Inodes, inode: number): number {
  return inodes.xattrTable.bytes(inodes.xattrs[inode] ?? 0);
}

function hasContent(inodes: Inodes, inode: number): boolean {
  const type = inodes.typeOf(inode);
  return type === fileType.directory || type === fileType.symlink;
}

function hasPlainContent(inodes: Inodes, inode: number): boolean {
  return hasContent(inodes, inode) && (inodes.size[inode] ?? 0) > maximumInline;
}

function inlineBytes(inodes: Inodes, inode: number): number {
  const size = inodes.size[inode] ?? 0;
  return hasContent(inodes, inode) && size <= maximumInline ? size : 0;
}

function bytesOf(inodes: Inodes, inode: number): number {
  const xattrs = xattrBytes(inodes, inode);
  const chunks = inodes.chunksOf(inode);
  return inodeBytes + xattrs + (chunks === null ? inlineBytes(inodes, inode) : chunks.length * 4);
}

function contentOf(sorted: SortedTree, inode: number, entry: number): Iterable<Buffer> {
  const { inodes } = sorted.tree;
  if (inodes.typeOf(inode) === fileType.directory) return sorted.directoryBlocks(entry);
  return [Buffer.from(inodes.target(inode), "latin1")];
}

interface PlacedInode {
  readonly inode: number;
  readonly entry: number;
  /** Counts from 1. */
  readonly number: number;
  /** Of a symbolic link that does not stand behind its inode. */
  readonly linkBlock: number;
}

function writeInode(sorted: SortedTree, writer: BlockWriter, placed: PlacedInode): void {
  const { inodes } = sorted.tree;
  const { inode, entry, number, linkBlock } = placed;
  const xattrs = inodes.xattrTable.body(inodes.xattrs[inode] ?? 0);
  const chunks = inodes.chunksOf(inode);
  const isInline = hasContent(inodes, inode) && !hasPlainContent(inodes, inode);
  const kind: Layout = chunks !== null ? layout.chunks : isInline ? layout.inline : layout.plain;
  const { buffer, at } = writer.reserve(inodeBytes);
  encodeInode(buffer, at, {
    layout: kind,
    xattrBytes: xattrs.length,
    mode: inodes.mode[inode] ?? 0,
    size: inodes.size[inode] ?? 0,
    union: unionOf(inodes, inode, isInline, linkBlock),
    shortNumber: number,
    uid: inodes.uid[inode] ?? 0,
    gid: inodes.gid[inode] ?? 0,
    seconds: inodes.seconds[inode] ?? 0,
    nanoseconds: inodes.nanoseconds[inode] ?? 0,
    links: inodes.links[inode] ?? 0,
  });
  if (xattrs.length > 0) writer.append(xattrs);
  if (chunks !== null) writer.append(littleEndian(chunks));
  else if (isInline) for (const part of contentOf(sorted, inode, entry)) writer.append(part);
}

/** The field i_u: a chunk format, a first block or a device number. */
function unionOf(inodes: Inodes, inode: number, isInline: boolean, linkBlock: number): number {
  const start = inodes.start[inode] ?? 0;
  const chunkBits = inodes.chunkBits[inode] ?? 0;
  switch (inodes.typeOf(inode)) {
    case fileType.file:
      return chunkBits === 0 ? start : chunkBits - blockBits;
    case fileType.symlink:
      return isInline ? noBlock : linkBlock;
    case fileType.directory:
      return isInline ? noBlock : start;
    default:
      return start;
  }
}

function littleEndian(numbers: Uint32Array): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [index, number] of numbers.entries()) bytes.writeUInt32LE(number, index * 4);
  return bytes;
}
