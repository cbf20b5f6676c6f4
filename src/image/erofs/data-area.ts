import { ImageError } from "../../errors/index.ts";
import type { BlockWriter } from "./block-writer.ts";
import { limitHint } from "./budget.ts";
import { blockBits, blockBytes, maximumBlocks, noBlock } from "./format.ts";
import type { Inodes } from "./inodes.ts";

/** Where the stored bytes of a file belong; see tar/sparse.ts. */
export interface Pieces {
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
}

/** A file with holes has at most this many chunks, so that its map stays small: 256 KiB. */
const maximumChunks = 1 << 16;

/**
 * Writes contents of files behind each other as they arrive: a file at a time, `begin`, `append`…, `end`.
 *
 * A file with holes gets the smallest chunks, of at least one block, that make no more than 65,536 of them; only
 * chunks with data take space. So a file of 1 TiB with a few bytes in it takes a few times 16 MiB of the image, which
 * are holes of the image's own file.
 */
export class DataArea {
  readonly #writer: BlockWriter;
  readonly #inodes: Inodes;
  #file: OpenFile | null = null;

  constructor(writer: BlockWriter, inodes: Inodes) {
    this.#writer = writer;
    this.#inodes = inodes;
  }

  /** @param size of the file as a program sees it, in bytes */
  begin(inode: number, size: number, pieces: Pieces | null): void {
    this.#inodes.budget.file(size);
    this.#inodes.size[inode] = size;
    if (pieces === null) {
      this.#inodes.start[inode] = size === 0 ? noBlock : this.#writer.align();
      this.#checkSpace(size);
      this.#file = null;
      return;
    }
    let bits = blockBits;
    while (Math.ceil(size / 2 ** bits) > maximumChunks) bits++;
    this.#inodes.addChunks(inode, bits);
    this.#writer.align();
    this.#file = { inode, size, pieces, piece: 0, inPiece: 0, chunk: -1, logical: 0 };
  }

  append(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === null) this.#writer.append(bytes);
    else this.#appendPieces(file, bytes);
  }

  end(): void {
    if (this.#file !== null) this.#endChunk(this.#file);
    this.#file = null;
    this.#writer.align();
  }

  #appendPieces(file: OpenFile, bytes: Uint8Array): void {
    const chunkBytes = 2 ** (this.#inodes.chunkBits[file.inode] ?? blockBits);
    for (let at = 0; at < bytes.length;) {
      const offset = (file.pieces.offsets[file.piece] ?? 0) + file.inPiece;
      const chunk = Math.floor(offset / chunkBytes);
      if (chunk !== file.chunk) this.#startChunk(file, chunk, chunkBytes);
      this.#writer.zeros(offset - file.logical);
      const left = (file.pieces.lengths[file.piece] ?? 0) - file.inPiece;
      const count = Math.min(bytes.length - at, left, (chunk + 1) * chunkBytes - offset);
      this.#writer.append(bytes.subarray(at, at + count));
      file.logical = offset + count;
      file.inPiece += count;
      at += count;
      if (count === left) {
        file.piece++;
        file.inPiece = 0;
      }
    }
  }

  #startChunk(file: OpenFile, chunk: number, chunkBytes: number): void {
    this.#endChunk(file);
    this.#checkSpace(chunkBytes);
    const chunks = this.#inodes.chunksOf(file.inode);
    if (chunks !== null) chunks[chunk] = this.#writer.align();
    file.chunk = chunk;
    file.logical = chunk * chunkBytes;
  }

  /** A chunk is whole in the image, but for the file's last. */
  #endChunk(file: OpenFile): void {
    if (file.chunk === -1) return;
    const chunkBytes = 2 ** (this.#inodes.chunkBits[file.inode] ?? blockBits);
    const end = Math.min((file.chunk + 1) * chunkBytes, Math.ceil(file.size / blockBytes) * blockBytes);
    this.#writer.zeros(end - file.logical);
    file.logical = end;
  }

  #checkSpace(more: number): void {
    const limit = Math.min(this.#inodes.budget.limits.maxImageBytes, maximumBlocks * blockBytes);
    if (this.#writer.position + more > limit) {
      throw new ImageError(`the root file system takes more than ${limit} bytes`, {
        hint: limitHint("max_rootfs_mib"),
      });
    }
  }
}

/** A file with holes whose bytes are arriving. */
interface OpenFile {
  readonly inode: number;
  readonly size: number;
  readonly pieces: Pieces;
  piece: number;
  /** Bytes of the piece that have arrived. */
  inPiece: number;
  /** The chunk being written, -1 before the first. */
  chunk: number;
  /** Where in the file the next byte of the image belongs. */
  logical: number;
}
