import { statfs } from "node:fs/promises";
import { ImageError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import { limitHint } from "../erofs/budget.ts";
import { parseImageConfig } from "../image-config.ts";
import type { Descriptor, Platform } from "../manifest.ts";
import { describePlatform } from "../platform.ts";
import { throttled, type PullProgressListener } from "./pull-progress.ts";
import type { ImageReference } from "../reference.ts";
import { RepositoryClient } from "../registry/client.ts";
import { downloadBlob } from "../registry/download.ts";
import type { RegistrySession } from "../registry/session.ts";
import { resolveImage, type FoundManifest, type ResolvedImage } from "../resolve.ts";
import { dropDamaged, ensureBlob, partialSize } from "../store/blobs.ts";
import type { Brought } from "../store/brought.ts";
import { blobsOf, type NamedImage, type StoredImage } from "../store/images.ts";
import { hasBlob, readBlob, writeBlob, type ImageStore } from "../store/layout.ts";
import { withLease } from "../store/leases.ts";
import { rootFileSystemKey } from "../store/rootfs-path.ts";

export interface FetchRequest {
  readonly store: ImageStore;
  readonly reference: ImageReference;
  readonly session: RegistrySession;
  readonly platform: Platform;
  /** What the store has under the reference: if the registry still means that, nothing is fetched. */
  readonly earlier: NamedImage | null;
  /** Of all layers together, as the registry has them. */
  readonly maxDownloadBytes: number;
  /** How many layers are downloaded at once. */
  readonly parallel: number;
  readonly report: PullProgressListener;
  /** Is told what may come into the store. */
  readonly brought: Brought;
  readonly signal: AbortSignal | undefined;
}

export interface FetchedImage extends StoredImage {
  readonly sourceDigest: string;
}

/**
 * Brings an image's blobs from its registry into the store, and keeps them there while `use` runs: until then no image
 * names them. Layers that are there already are verified first.
 *
 * @throws ImageError, HttpError, IoError
 */
export async function fetchImage<T>(
  request: FetchRequest,
  use: (image: FetchedImage) => Promise<T>,
): Promise<T> {
  const { store, reference, session, platform, signal } = request;
  const client = new RepositoryClient(session, reference, signal);
  const { root, image } = await findManifest(request, client);
  const { config: configDescriptor, layers } = image.manifest;
  checkSize(request, layers);
  const lease = {
    blobs: blobsOf({ manifestDigest: image.digest, configDigest: configDescriptor.digest, layers }),
    rootfs: [],
  };
  request.brought.add(lease);
  return withLease(store, lease, signal, async () => {
    const configBytes = await fetchConfig(request, configDescriptor);
    const config = parseImageConfig(configBytes, layers.length, `the config of ${reference.canonical}`);
    if (config.os !== platform.os || config.architecture !== platform.architecture) {
      throw new ImageError(
        `${reference.canonical} is for ${describePlatform(config)}, but this machine runs ${describePlatform(platform)}`,
        { hint: "Choose an image that is built for this platform too." },
      );
    }
    // Before it is said what is missing: existence is not validity.
    await dropDamaged(store, layers, signal);
    await checkRoomAndReport(request, image);
    await downloadLayers(request, layers);
    await writeBlob(store, image.bytes, image.digest);
    const rootfs = { blobs: [], rootfs: [rootFileSystemKey(config.diffIds)] };
    request.brought.add(rootfs);
    return withLease(store, rootfs, signal, () =>
      use({
        manifestDigest: image.digest,
        mediaType: image.mediaType,
        manifestSize: image.bytes.length,
        configDigest: configDescriptor.digest,
        configSize: configBytes.length,
        config,
        layers,
        sourceDigest: root,
      }),
    );
  });
}

async function fetchConfig(request: FetchRequest, descriptor: Descriptor): Promise<Buffer> {
  const { store, reference, signal } = request;
  const what = `the config of ${reference.canonical}`;
  await dropDamaged(store, [descriptor], signal);
  await ensureDownloaded(request, descriptor, what, {});
  const bytes = await readBlob(store, descriptor.digest);
  if (bytes === null) throw new ImageError(`${what} has gone from the store`);
  return bytes;
}

async function findManifest(
  request: FetchRequest,
  client: RepositoryClient,
): Promise<{ root: string; image: ResolvedImage }> {
  const { store, reference, platform, earlier } = request;
  if (earlier !== null && (await client.headDigest()) === earlier.sourceDigest) {
    const bytes = await readBlob(store, earlier.manifestDigest);
    const { manifestDigest: digest, mediaType } = earlier;
    if (bytes !== null) {
      const known: FoundManifest = { digest, mediaType, bytes };
      return {
        root: earlier.sourceDigest,
        image: await resolveImage(known, client, platform, reference.canonical),
      };
    }
  }
  const found = await client.fetchRoot();
  return { root: found.digest, image: await resolveImage(found, client, platform, reference.canonical) };
}

/** The size of each layer, by digest: one that occurs twice is fetched once. */
function distinctSizes(layers: readonly Descriptor[]): Map<string, number> {
  return new Map(layers.map(({ digest, size }) => [digest, size]));
}

/** By what the manifest declares: more than that is never received. */
function checkSize({ reference, maxDownloadBytes }: FetchRequest, layers: readonly Descriptor[]): void {
  const bytes = [...distinctSizes(layers).values()].reduce((sum, size) => sum + size, 0);
  if (bytes > maxDownloadBytes) {
    throw new ImageError(
      `the layers of ${reference.canonical} have ${bytes} bytes, more than ${maxDownloadBytes}`,
      { hint: limitHint("max_download_mib") },
    );
  }
}

async function checkRoomAndReport(request: FetchRequest, { digest, manifest }: ResolvedImage): Promise<void> {
  const { store, reference, report } = request;
  let missing = 0;
  for (const [layer, size] of distinctSizes(manifest.layers)) {
    if (await hasBlob(store, layer, size)) continue;
    missing += Math.max(0, size - (await partialSize(store, layer)));
  }
  const { bavail, bsize } = await statfs(store.root);
  if (missing > bavail * bsize) {
    // As the system would say it after the disk is full.
    const full = new Error(`${missing} bytes are to be fetched, and ${bavail * bsize} are free`);
    throw ioError(`store ${reference.canonical}`, Object.assign(full, { code: "ENOSPC" }));
  }
  report({
    kind: "resolved",
    reference: reference.canonical,
    manifestDigest: digest,
    layerCount: manifest.layers.length,
    totalDownloadBytes: missing,
  });
}

interface DownloadEvents {
  readonly onProgress?: (bytes: number) => void;
  readonly onReceived?: () => void;
}

async function ensureDownloaded(
  request: FetchRequest,
  descriptor: Descriptor,
  what: string,
  events: DownloadEvents,
): Promise<boolean> {
  const { store, session, reference, signal } = request;
  const { digest, size } = descriptor;
  const receive = (partialPath: string): Promise<void> =>
    downloadBlob({ session, repository: reference.path, descriptor, what, partialPath, signal, ...events });
  return ensureBlob(store, { digest, size, receive }, signal);
}

/** The first failure stops the others and is the one that is reported. */
async function downloadLayers(request: FetchRequest, layers: readonly Descriptor[]): Promise<void> {
  const stop = new AbortController();
  const { signal } = request;
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  // A layer that occurs twice is brought once.
  const waiting = layers
    .map((layer, index) => ({ layer, index }))
    .filter(({ layer, index }) => layers.findIndex(({ digest }) => digest === layer.digest) === index);
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await downloadLayer({ ...request, signal: either }, next.layer, next.index);
    }
  };
  const workers = Array.from({ length: Math.max(1, request.parallel) }, () =>
    worker().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  if (results.some(({ status }) => status === "rejected")) {
    signal?.throwIfAborted();
    throw stop.signal.reason as Error;
  }
}

async function downloadLayer(request: FetchRequest, layer: Descriptor, layerIndex: number): Promise<void> {
  const { report, reference } = request;
  const { digest, size } = layer;
  const received = await ensureDownloaded(request, layer, `layer ${digest} of ${reference.canonical}`, {
    onProgress: throttled((downloadedBytes) => {
      report({ kind: "layerDownloadProgress", layerIndex, digest, downloadedBytes, totalBytes: size });
    }),
    onReceived: () => {
      report({ kind: "layerDownloadComplete", layerIndex, digest, downloadedBytes: size });
      report({ kind: "layerDownloadVerifying", layerIndex, digest });
    },
  });
  if (!received) report({ kind: "layerDownloadComplete", layerIndex, digest, downloadedBytes: size });
}
