/**
 * Layers → one EROFS image. Start here.
 *
 * **Order.** Layers are read once each, the newest first. While a layer is read, everything above it is known, so
 * the data of a file that a later layer replaces or deletes is passed over and never written, and what is written is
 * already in its final place: nothing is unpacked, moved or rewritten, and the disk needs no more than the result.
 * (The other order would have to write every version of every file first.)
 *
 *     layer-source.ts   compressed bytes → tar bytes, counted and hashed
 *     layer-view.ts     one layer's entries → a tree of that layer alone: whiteouts, links, replacements
 *     merge.ts          puts a layer's tree below the tree of the layers above it
 *     directory.ts      the same image format from a directory of the host
 *
 * **Hard links** are why a layer is sometimes read twice. A link may name a file whose data was passed over, because
 * its first name is hidden by a later layer while the link is not; and it may name a file of a lower layer. Both are
 * known when the layer's tree is merged. Then the layer is read again for just those files.
 *
 * **A file replaced within its own layer** has its data written twice; the first stays in the image, unused. Layers
 * made by build tools never do this.
 *
 * **Paths through symbolic links.** An entry below a symbolic link of its own layer goes where the link leads, inside
 * the root, as it does with docker and containerd. A link of a lower layer is not followed: the entry's parent is a
 * directory of its layer and takes the link's place, as overlayfs shows it.
 *
 * The same layers give the same bytes: order of names, places and numbers depend on the layers alone, times come from
 * them, and the UUID is made of their diff ids.
 *
 * Specification: OCI image-spec, layer.md ("Applying Changesets", "Whiteouts").
 */
import { createHash } from "node:crypto";
import { ImageError, MicrosandboxError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { ErofsImage } from "../erofs/image.ts";
import type { Tree } from "../erofs/tree.ts";
import { quote } from "../tar/entry.ts";
import { TarReader, type TarVisitor } from "../tar/reader.ts";
import { readLayer, type LayerSource } from "./layer-source.ts";
import { LayerView } from "./layer-view.ts";
import type { ImportLimits } from "./limits.ts";
import { findLinkTarget, mergeBelow } from "./merge.ts";
import type { PendingLinks } from "./pending-links.ts";

export interface ImportResult {
  /** Of the image. */
  readonly bytes: number;
  /** Of all layers, decompressed. */
  readonly uncompressedBytes: number;
  /** Files, directories and links in the layers. */
  readonly entries: number;
}

/**
 * Makes a root file system of an image's layers.
 *
 * @param layers the lowest first, as in an image's manifest
 * @param output path of the image; it appears when it is complete
 * @throws ImageError when a layer is damaged, hostile or over the limits, naming the layer and the entry; IoError when
 *   the disk fails. Nothing is left then.
 * @example
 * ```ts
 * const layer = { open: () => createReadStream(blob), diffId: "sha256:…", description: "sha256:…" };
 * await importLayers([layer], "/tmp/root.erofs", defaultImportLimits);
 * ```
 */
export async function importLayers(
  layers: readonly LayerSource[],
  output: string,
  limits: ImportLimits,
  signal?: AbortSignal,
): Promise<ImportResult> {
  signal?.throwIfAborted();
  const image = await ErofsImage.create(output, limits);
  try {
    const run = new Import(image, limits, signal);
    for (const layer of [...layers].reverse()) await run.layer(layer);
    run.checkLinks();
    const bytes = await image.finish(run.tree ?? image.newTree(), uuidOf(layers));
    return { bytes, uncompressedBytes: run.uncompressed, entries: image.inodes.budget.entries };
  } catch (error) {
    await image.abandon();
    signal?.throwIfAborted();
    throw asOurs(error, output);
  }
}

class Import {
  readonly #image: ErofsImage;
  readonly #limits: ImportLimits;
  readonly #signal: AbortSignal | undefined;
  /** Hard links of the layers above to files that have not been seen yet, by layer. */
  #pending: PendingLinks[] = [];
  /** Of the layers so far, merged. */
  tree: Tree | null = null;
  /** Bytes of all layers so far. */
  uncompressed = 0;

  constructor(image: ErofsImage, limits: ImportLimits, signal: AbortSignal | undefined) {
    this.#image = image;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Reads a layer and puts it below those that were read before. */
  async layer(layer: LayerSource): Promise<void> {
    const { inodes, data } = this.#image;
    const view = new LayerView(this.#image.newTree(), this.tree, layer.description);
    let number = 0;
    let isWriting = false;
    const room = this.#limits.maxUncompressedBytes - this.uncompressed;
    this.uncompressed += await this.#read(layer, room, {
      entry: (entry) => {
        const inode = view.apply(entry);
        number++;
        isWriting = false;
        if (inode === null) return;
        if (view.isHidden()) {
          inodes.passedOver[inode] = number;
          inodes.size[inode] = entry.size;
          inodes.budget.file(entry.size);
          return;
        }
        data.begin(inode, entry.size, entry.sparse);
        isWriting = true;
      },
      data: (bytes) => {
        if (isWriting) data.append(bytes);
      },
      finish: () => {
        if (isWriting) data.end();
      },
    });
    const needed = new Map<number, number>();
    const need = (inode: number): void => {
      const entry = inodes.passedOver[inode] ?? 0;
      if (entry !== 0) needed.set(entry, inode);
    };
    if (this.tree === null) this.tree = view.tree;
    else mergeBelow(this.tree, view.tree, need);
    for (const links of this.#pending) {
      links.settle((link) => {
        const target = findLinkTarget(view.tree, link.target);
        if (target === "unknown") return false;
        if (target === "missing") throw links.missing(link);
        inodes.alias(link.inode, target);
        need(target);
        return true;
      });
    }
    this.#pending = [...this.#pending, view.pending].filter(({ count }) => count > 0);
    if (needed.size > 0) await this.#readAgain(layer, needed);
  }

  /** @param needed number of an entry → the inode that its data belongs to */
  async #readAgain(layer: LayerSource, needed: ReadonlyMap<number, number>): Promise<void> {
    const { inodes, data } = this.#image;
    let number = 0;
    let isWriting = false;
    await this.#read(layer, this.#limits.maxUncompressedBytes, {
      entry: (entry) => {
        const inode = needed.get(++number);
        isWriting = inode !== undefined;
        if (inode === undefined) return;
        data.begin(inode, entry.size, entry.sparse);
        inodes.passedOver[inode] = 0;
      },
      data: (bytes) => {
        if (isWriting) data.append(bytes);
      },
      finish: () => {
        if (isWriting) data.end();
      },
    });
  }

  async #read(layer: LayerSource, room: number, visitor: TarVisitor): Promise<number> {
    let name = null as string | null;
    const reader = new TarReader({
      entry: (entry) => {
        name = entry.name;
        visitor.entry(entry);
      },
      data: visitor.data,
      finish: () => {
        visitor.finish();
        name = null;
      },
    });
    try {
      return await readLayer(layer, reader, room, () => this.#image.drained(), this.#signal);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      const entry = name === null ? "" : `entry ${quote(name)}: `;
      throw new ImageError(`layer ${layer.description}: ${entry}${error.message}`, {
        hint: error.hint,
        cause: error,
      });
    }
  }

  /** @throws ImageError when a hard link's target was in no layer */
  checkLinks(): void {
    for (const links of this.#pending) links.requireNone();
  }
}

/** RFC 9562, version 8: bits of our own choice. */
function uuidOf(layers: readonly LayerSource[]): Uint8Array {
  const uuid = createHash("sha256")
    .update(layers.map(({ diffId }) => diffId).join("\n"))
    .digest()
    .subarray(0, 16);
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80;
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
  return uuid;
}

function asOurs(error: unknown, output: string): unknown {
  if (error instanceof MicrosandboxError) return error;
  return errorCode(error) === undefined ? error : ioError(`write ${output}`, error);
}
