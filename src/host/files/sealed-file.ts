import { open, stat, type FileHandle } from "node:fs/promises";
import { errorCode, isMediumError } from "../system-error.ts";
import { crc32Few } from "./crc32.ts";

/**
 * A large file that says of itself, in its first bytes, how long it is and what checksums it has: so that damage of the disk
 * is found. Its length and its first block are checked in no time, all of it at the speed of reading. The checksum is
 * against accidents, not against people: whoever may write the file may write its seal.
 *
 *      0   "msb-seal"
 *      8   length of the whole file, 8 bytes, little-endian like the rest
 *     16   CRC-32 (RFC 1952) of everything behind the first block
 *     20   CRC-32 of the first block from `contentOffset`
 *     24   CRC-32 of the 24 bytes before
 */
const sealBytes = 28;
const marker = "msb-seal";
/** Where the first block has content of its own: a file system leaves these bytes to boot loaders. */
const contentOffset = 1024;
export const firstBlockBytes = 4096;

/**
 * Puts the seal into the first block.
 *
 * @param block the first 4096 bytes, complete but for the seal
 * @param length of the whole file, in bytes
 * @param checksum CRC-32 of everything behind the block
 */
export function seal(block: Buffer, length: number, checksum: number): void {
  block.write(marker, 0, "latin1");
  block.writeBigUInt64LE(BigInt(length), 8);
  block.writeUInt32LE(checksum, 16);
  block.writeUInt32LE(crc32Few(block.subarray(contentOffset, firstBlockBytes)), 20);
  block.writeUInt32LE(crc32Few(block.subarray(0, 24)), 24);
}

interface Seal {
  readonly length: number;
  readonly checksum: number;
}

function readSeal(block: Buffer): Seal | null {
  if (block.length < firstBlockBytes || block.toString("latin1", 0, marker.length) !== marker) return null;
  if (block.readUInt32LE(sealBytes - 4) !== crc32Few(block.subarray(0, sealBytes - 4))) return null;
  if (block.readUInt32LE(20) !== crc32Few(block.subarray(contentOffset, firstBlockBytes))) return null;
  return { length: Number(block.readBigUInt64LE(8)), checksum: block.readUInt32LE(16) };
}

/** Whether the file is there, is as long as its seal says and has its first block. Reads that block only. */
export async function hasSealedLength(path: string): Promise<boolean> {
  return await withSeal(path, (_file, found) => Promise.resolve(found));
}

/** Whether the file is there and every byte of it is what was sealed. @throws the signal's reason */
export async function isIntact(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  return await withSeal(path, async (file, found, sealed) => {
    if (!found) return false;
    const { crc32 } = await import("node:zlib");
    let checksum = 0;
    const rest = file.createReadStream({ start: firstBlockBytes, autoClose: false, highWaterMark: 1 << 20 });
    for await (const chunk of rest as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      checksum = crc32(chunk, checksum);
    }
    return checksum === sealed?.checksum;
  });
}

async function withSeal(
  path: string,
  use: (file: FileHandle, found: boolean, sealed: Seal | null) => Promise<boolean>,
): Promise<boolean> {
  try {
    // Before it is opened: what stands there could be a pipe.
    if (!(await stat(path)).isFile()) return false;
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(firstBlockBytes), 0, firstBlockBytes, 0);
    const sealed = readSeal(buffer.subarray(0, bytesRead));
    const { size } = await file.stat();
    return await use(file, sealed?.length === size, sealed);
  } catch (error) {
    const code = errorCode(error);
    // A block that the disk cannot read is damage too.
    if (code === "ENOENT" || code === "ENOTDIR" || isMediumError(error)) return false;
    throw error;
  }
}
