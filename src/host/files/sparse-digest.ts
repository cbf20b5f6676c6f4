import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { readChunk } from "./read-chunk.ts";
import { ioError } from "../system-error.ts";

const chunkBytes = 1024 * 1024;
const blockBytes = 4096;

/** Names the form below, in which what is hashed does not depend on where a file happens to have holes. */
export const sparseDigestAlgorithm = "msb-sparse-sha256-v1";

/**
 * Hashes the content of a sparse file without feeding its zeros to the hash: SHA-256 over the algorithm's name and a newline, the
 * file's size as eight bytes, little-endian, and, for each block of 4096 bytes that is not all zeros, in order, the block's number as
 * eight bytes, little-endian, and its bytes (the last block may be shorter).
 *
 * @returns `sha256:…`
 * @throws IoError, or the reason of the signal
 */
export async function sparseDigest(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256").update(`${sparseDigestAlgorithm}\n`);
  const zeros = Buffer.alloc(chunkBytes);
  const chunk = Buffer.allocUnsafe(chunkBytes);
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    hash.update(number64(size));
    for (let start = 0; start < size; start += chunkBytes) {
      signal?.throwIfAborted();
      const length = await readChunk(file, chunk, start);
      if (chunk.compare(zeros, 0, length, 0, length) === 0) continue;
      for (let at = 0; at < length; at += blockBytes) {
        const end = Math.min(at + blockBytes, length);
        if (chunk.compare(zeros, at, end, at, end) === 0) continue;
        hash.update(number64((start + at) / blockBytes)).update(chunk.subarray(at, end));
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw ioError(`read ${path}`, error);
  }
  return `sha256:${hash.digest("hex")}`;
}

function number64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
