import { randomBytes } from "node:crypto";
import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { syncPath } from "../../host/files/atomic-file.ts";
import { seal } from "../../host/files/sealed-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { ImageError } from "../../errors/index.ts";
import { BlockWriter } from "./block-writer.ts";
import { Budget, limitHint, type TreeLimits } from "./budget.ts";
import { ByteArena } from "./columns.ts";
import { DataArea } from "./data-area.ts";
import { SortedTree } from "./directory.ts";
import { blockBytes, encodeSuperblock } from "./format.ts";
import { Inodes } from "./inodes.ts";
import { writeMetadata } from "./metadata.ts";
import { Tree } from "./tree.ts";

/**
 * An EROFS image being written: contents of files go to the file as they come, names and attributes are kept and
 * written last, and the superblock after all else, so that an unfinished image is no image. The file stands aside
 * under `output` + `.tmp-…` until {@link finish}; {@link abandon} leaves nothing.
 *
 * @example
 * ```ts
 * const image = await ErofsImage.create("/tmp/root.erofs", defaultImportLimits);
 * const inode = image.inodes.add({ ...impliedDirectory, mode: 0o100644 });
 * image.data.begin(inode, 3, null);
 * image.data.append(Buffer.from("hi\n"));
 * image.data.end();
 * const tree = image.newTree();
 * tree.add(root, "greeting", inode, 0);
 * await image.finish(tree, new Uint8Array(16));
 * ```
 */
export class ErofsImage {
  readonly inodes: Inodes;
  readonly data: DataArea;
  readonly #names = new ByteArena();
  readonly #writer: BlockWriter;
  readonly #file: FileHandle;
  readonly #output: string;
  readonly #aside: string;

  private constructor(file: FileHandle, output: string, aside: string, limits: TreeLimits) {
    this.#file = file;
    this.#output = output;
    this.#aside = aside;
    this.inodes = new Inodes(new Budget(limits));
    this.#writer = new BlockWriter(file, blockBytes);
    this.data = new DataArea(this.#writer, this.inodes);
  }

  /** @throws IoError when the file cannot be created */
  static async create(output: string, limits: TreeLimits): Promise<ErofsImage> {
    const aside = `${output}.tmp-${randomBytes(6).toString("hex")}`;
    try {
      return new ErofsImage(await open(aside, "wx", 0o600), output, aside, limits);
    } catch (error) {
      throw ioError(`write ${aside}`, error);
    }
  }

  /** An empty tree of this image. */
  newTree(): Tree {
    return new Tree(this.inodes, this.#names);
  }

  /** Waits until what was appended to {@link data} no longer fills the memory. */
  async drained(): Promise<void> {
    await this.#writer.drained();
  }

  /**
   * Writes the tree and gives the file its name.
   *
   * @param uuid 16 bytes
   * @returns the size of the image in bytes
   */
  async finish(tree: Tree, uuid: Uint8Array): Promise<number> {
    const place = await writeMetadata(new SortedTree(tree), this.#writer);
    const bytes = this.#writer.position;
    if (bytes > this.inodes.budget.limits.maxImageBytes) {
      throw new ImageError(
        `the root file system takes more than ${this.inodes.budget.limits.maxImageBytes} bytes`,
        { hint: limitHint("max_rootfs_mib") },
      );
    }
    await this.#writer.finish();
    const superblock = encodeSuperblock({
      ...place,
      blocks: bytes / blockBytes,
      uuid,
      chunks: place.chunks,
    });
    seal(superblock, bytes, this.#writer.checksum);
    await this.#file.write(superblock, 0, blockBytes, 0);
    // The end of the image may be a hole of the file.
    await this.#file.truncate(bytes);
    await this.#file.sync();
    await this.#file.close();
    await rename(this.#aside, this.#output);
    await syncPath(dirname(this.#output));
    return bytes;
  }

  /** Takes the unfinished file away. */
  async abandon(): Promise<void> {
    await this.#writer.finish().catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    await unlink(this.#aside).catch((error: unknown) => {
      if (errorCode(error) !== "ENOENT") throw ioError(`remove ${this.#aside}`, error);
    });
  }
}
