import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { importLayers } from "../import/import-layers.ts";
import type { LayerSource } from "../import/layer-source.ts";
import type { ImportLimits } from "../import/limits.ts";
import type { Descriptor } from "../manifest.ts";
import { hasSealedLength, isIntact } from "../../host/files/sealed-file.ts";
import { blobPath, type ImageStore } from "./layout.ts";
import { withStoreLock } from "./locking.ts";
import { rootFileSystemKey, rootFileSystemPath } from "./rootfs-path.ts";

/** The layers of an image in the store. `wrap` is given each stream that is opened. */
export function storedLayers(
  store: ImageStore,
  layers: readonly Descriptor[],
  diffIds: readonly string[],
  reference: string,
  wrap: (stream: Readable, position: number) => Readable = (stream) => stream,
): LayerSource[] {
  return layers.map((layer, position) => ({
    open: () => wrap(createReadStream(blobPath(store, layer.digest), { highWaterMark: 1 << 20 }), position),
    diffId: diffIds[position] ?? "",
    description: `${position + 1} of ${layers.length} (${layer.digest}) of ${reference}`,
  }));
}

/**
 * Makes the root file system unless it is there. Of several who want the same one, one makes it. One that is damaged is
 * replaced; who has it open keeps what it was.
 *
 * @param thorough whether one that is there is read to its end to find out whether it is damaged; else only its beginning
 *   and its length are looked at
 * @returns whether it had to be made by this call
 */
export async function ensureRootFileSystem(
  store: ImageStore,
  layers: readonly LayerSource[],
  limits: ImportLimits,
  thorough: boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const diffIds = layers.map(({ diffId }) => diffId);
  const path = rootFileSystemPath(store, diffIds);
  const isWhole = (): Promise<boolean> => (thorough ? isIntact(path, signal) : hasSealedLength(path));
  if (await isWhole()) return false;
  await makeDirectory(store.rootfs);
  const make = async (): Promise<boolean> => {
    if (await isWhole()) return false;
    await removeUnfinished(store, rootFileSystemKey(diffIds));
    await importLayers(layers, path, limits, signal);
    return true;
  };
  return withStoreLock(`${path}.lock`, signal, make, true);
}

/** What a killed importer left aside. Under the lock of the root file system. */
async function removeUnfinished(store: ImageStore, key: string): Promise<void> {
  for (const name of await readdir(store.rootfs)) {
    if (name.startsWith(`${key}.erofs.`) && !name.endsWith(".lock")) {
      await rm(join(store.rootfs, name), { force: true });
    }
  }
}
