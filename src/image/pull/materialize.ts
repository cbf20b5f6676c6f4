import { Transform, type TransformCallback } from "node:stream";
import { ImageError } from "../../errors/index.ts";
import type { LayerSource } from "../import/layer-source.ts";
import type { ImportLimits } from "../import/limits.ts";
import { imageLimits, type LimitSettings } from "../limits.ts";
import { throttled, type PullProgressListener } from "./pull-progress.ts";
import { blobsOf, type StoredImage } from "../store/images.ts";
import { dropDamaged } from "../store/blobs.ts";
import type { ImageStore } from "../store/layout.ts";
import { withLease } from "../store/leases.ts";
import { rootFileSystemKey } from "../store/rootfs-path.ts";
import { ensureRootFileSystem, storedLayers } from "../store/rootfs.ts";

/** How an image that is stored is made ready. */
export interface StoredOptions extends LimitSettings {
  readonly signal?: AbortSignal | undefined;
}

export interface Materializing {
  readonly limits: ImportLimits;
  /** Whether a root file system that is there is read to its end first, see `ensureRootFileSystem`. */
  readonly thorough: boolean;
  readonly report: PullProgressListener;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes the root file system of an image whose layers are in the store, and tells of it. The importer reads the layers from
 * the top and may read one twice; a layer counts as read when its first reading ends.
 */
export async function materialize(
  store: ImageStore,
  image: StoredImage,
  reference: string,
  { limits, thorough, report, signal }: Materializing,
): Promise<void> {
  const { layers, config } = image;
  const left = new Set(layers.keys());
  const observed = storedLayers(store, layers, config.diffIds, reference).map(
    (layer, layerIndex): LayerSource => {
      const totalBytes = layers[layerIndex]?.size ?? 0;
      const { diffId } = layer;
      let isFirst = true;
      const onRead = throttled((bytesRead) => {
        report({ kind: "layerMaterializeProgress", layerIndex, bytesRead, totalBytes });
      });
      const onEnd = (): void => {
        report({ kind: "layerMaterializeWriting", layerIndex });
        report({ kind: "layerMaterializeComplete", layerIndex, diffId });
        left.delete(layerIndex);
        if (left.size > 0) return;
        report({ kind: "stitchMergingTrees", layerCount: layers.length });
        report({ kind: "stitchWritingFsmeta" });
      };
      const open = (): ReturnType<LayerSource["open"]> => {
        const stream = layer.open();
        if (!isFirst) return stream;
        isFirst = false;
        report({ kind: "layerMaterializeStarted", layerIndex, diffId });
        const counter = new Counter(onRead, onEnd);
        // The consumer destroys what it was given; the file behind it must be closed too.
        counter.on("close", () => stream.destroy());
        stream.on("error", (error) => counter.destroy(error));
        return stream.pipe(counter);
      };
      return { ...layer, open };
    },
  );
  const made = await ensureRootFileSystem(store, observed, limits, thorough, signal).catch(
    async (error: unknown) => {
      // Its own failure does not hide why it was looked at all.
      if (error instanceof ImageError) await dropDamaged(store, layers, signal).catch(() => undefined);
      throw error;
    },
  );
  if (made) report({ kind: "stitchComplete" });
}

/** {@link materialize} for layers that no pull in progress keeps: a lease does. */
export async function materializeStored(
  store: ImageStore,
  image: StoredImage,
  reference: string,
  options: StoredOptions,
  report: PullProgressListener,
): Promise<void> {
  const { signal } = options;
  const limits = await imageLimits(options);
  const lease = { blobs: blobsOf(image), rootfs: [rootFileSystemKey(image.config.diffIds)] };
  await withLease(store, lease, signal, () =>
    materialize(store, image, reference, { limits, thorough: false, report, signal }),
  );
}

/** Passes bytes on and counts them. */
class Counter extends Transform {
  #bytes = 0;
  readonly #onRead: (bytes: number) => void;
  readonly #onEnd: () => void;

  constructor(onRead: (bytes: number) => void, onEnd: () => void) {
    super();
    this.#onRead = onRead;
    this.#onEnd = onEnd;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#bytes += chunk.length;
    this.#onRead(this.#bytes);
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    this.#onEnd();
    done();
  }
}
