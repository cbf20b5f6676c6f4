import { stat } from "node:fs/promises";
import { ImageInUseError } from "../../errors/index.ts";
import type { Home } from "../../store/home.ts";
import type { ImageConfig } from "../image-config.ts";
import { parseReference } from "../reference.ts";
import { collectGarbage, type FindImageUses, type ImageUse } from "./garbage.ts";
import {
  isDamaged,
  notStored,
  readNamedImages,
  requireImage,
  type DamagedImage,
  type NamedImage,
} from "./images.ts";
import { entryName, type IndexEntry } from "./index-file.ts";
import { exists, imageStore, prepareStore, type ImageStore } from "./layout.ts";
import { rootFileSystemPath } from "./rootfs-path.ts";

/** An image as lists show it. */
export interface ImageSummary {
  readonly reference: string;
  readonly manifestDigest: string;
  /** As stored, compressed: the configuration and the layers, each once; null when the image is damaged. */
  readonly sizeBytes: number | null;
  /** Null when the image is damaged. */
  readonly architecture: string | null;
  readonly os: string | null;
  readonly layerCount: number;
  /** When it came into the store under this reference. */
  readonly createdAt: Date | null;
  /** When its root file system was last asked for; null when it has none yet. */
  readonly lastUsedAt: Date | null;
  /** Why the image cannot be used; null when nothing of it that a list reads is damaged. */
  readonly damage: string | null;
}

export interface ImageLayer {
  readonly diffId: string;
  readonly blobDigest: string;
  readonly mediaType: string;
  readonly compressedSizeBytes: number;
  /** 0 = the lowest. */
  readonly position: number;
}

export interface ImageDetails extends ImageSummary {
  readonly configDigest: string;
  readonly config: ImageConfig;
  readonly layers: readonly ImageLayer[];
  /** Of all layers together, as one file; null when it is not made yet. */
  readonly rootFileSystemBytes: number | null;
}

/** @throws ImageNotFoundError, ImageError when the reference is none or the image is damaged */
export async function inspectImage(home: Home, reference: string): Promise<ImageDetails> {
  const store = imageStore(home);
  return details(store, await requireImage(store, parseReference(reference).canonical));
}

/** Newest first. */
export async function listImages(home: Home): Promise<ImageSummary[]> {
  const store = imageStore(home);
  const images = await readNamedImages(store);
  const found = await Promise.all(
    images.map((image) =>
      isDamaged(image) ? Promise.resolve(damagedSummary(image)) : details(store, image),
    ),
  );
  return found.sort((a, b) => {
    const newer = (b.createdAt?.getTime() ?? 0) - (a.createdAt?.getTime() ?? 0);
    return newer !== 0 ? newer : a.reference < b.reference ? -1 : 1;
  });
}

/**
 * Gives up a reference and removes what nothing else needs.
 *
 * @param options.force also when a sandbox or a snapshot uses it; it keeps what it needs, only the name goes
 * @throws ImageNotFoundError; ImageInUseError, and then nothing was changed
 */
export async function removeImage(
  home: Home,
  reference: string,
  findUses: FindImageUses,
  options: { readonly force?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { canonical } = parseReference(reference);
  const store = imageStore(home);
  await prepareStore(store);
  const found: IndexEntry[] = [];
  const keep = (entry: IndexEntry, uses: readonly ImageUse[]): boolean => {
    if (entryName(entry) !== canonical) return true;
    found.push(entry);
    const [use] = usersOf(entry, uses);
    if (use !== undefined && options.force !== true) {
      const { kind, name } = use.user;
      const command = kind === "sandbox" ? "msb rm" : "msb snapshot rm";
      throw new ImageInUseError(`the image ${canonical} is used by the ${kind} ${name}`, {
        hint: `Remove the ${kind} first ("${command} ${name}"), or remove the image with force.`,
      });
    }
    return false;
  };
  await collectGarbage(store, findUses, keep, { partial: false, signal: options.signal });
  if (found.length === 0) throw notStored(canonical);
}

export interface PruneReport {
  readonly imageRefsRemoved: number;
  readonly manifestsRemoved: number;
  readonly layersRemoved: number;
  readonly rootFileSystemsRemoved: number;
  /** On the disk. */
  readonly bytesReclaimed: number;
  /** The names that were given up. */
  readonly references: readonly string[];
}

export interface ImagePruning {
  /** Only images that came into the store before, and that no sandbox was made from since; of what has no name, what was changed before. */
  readonly unusedSince?: Date | undefined;
  /** Nothing is removed: it is only found out what would be. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const nothingPruned: PruneReport = {
  imageRefsRemoved: 0,
  manifestsRemoved: 0,
  layersRemoved: 0,
  rootFileSystemsRemoved: 0,
  bytesReclaimed: 0,
  references: [],
};

/** Removes every image that neither a sandbox nor a snapshot uses, and what interrupted pulls have left. */
export async function pruneImages(
  home: Home,
  findUses: FindImageUses,
  { unusedSince, dryRun = false, signal }: ImagePruning = {},
): Promise<PruneReport> {
  const store = imageStore(home);
  if (dryRun && !(await exists(store.root))) return nothingPruned;
  await prepareStore(store);
  // One that comes meanwhile is none of them.
  const old = unusedSince === undefined ? null : await imagesUnusedSince(home, unusedSince);
  const references: string[] = [];
  const keep = (entry: IndexEntry, uses: readonly ImageUse[]): boolean => {
    const name = entryName(entry) ?? "";
    if (usersOf(entry, uses).length > 0 || old?.has(name) === false) return true;
    references.push(name);
    return false;
  };
  const only = unusedSince === undefined ? undefined : { has: () => false, before: unusedSince };
  const removed = await collectGarbage(store, findUses, keep, { partial: true, only, dryRun, signal });
  return {
    imageRefsRemoved: removed.references,
    manifestsRemoved: removed.manifests,
    layersRemoved: removed.layers,
    rootFileSystemsRemoved: removed.rootFileSystems,
    bytesReclaimed: removed.bytes,
    references: references.sort(),
  };
}

async function imagesUnusedSince(home: Home, since: Date): Promise<ReadonlySet<string>> {
  const unused = (await listImages(home)).filter(
    ({ createdAt, lastUsedAt }) => (createdAt ?? since) <= since && (lastUsedAt ?? since) <= since,
  );
  return new Set(unused.map(({ reference }) => reference));
}

function usersOf(entry: IndexEntry, uses: readonly ImageUse[]): ImageUse[] {
  const name = entryName(entry);
  return uses.filter(
    ({ reference, manifestDigest }) =>
      reference === name && (manifestDigest === null || manifestDigest === entry.digest),
  );
}

function damagedSummary({ reference, manifestDigest, addedAt, damage }: DamagedImage): ImageSummary {
  return {
    reference,
    manifestDigest,
    sizeBytes: null,
    architecture: null,
    os: null,
    layerCount: 0,
    createdAt: addedAt,
    lastUsedAt: null,
    damage,
  };
}

async function details(store: ImageStore, image: NamedImage): Promise<ImageDetails> {
  const { config, layers } = image;
  const rootfs = await stat(rootFileSystemPath(store, config.diffIds)).catch(() => null);
  const distinct = new Map(layers.map(({ digest, size }) => [digest, size]));
  return {
    reference: image.reference,
    manifestDigest: image.manifestDigest,
    sizeBytes: [...distinct.values()].reduce((sum, size) => sum + size, image.configSize),
    architecture: config.architecture,
    os: config.os,
    layerCount: layers.length,
    createdAt: image.addedAt,
    lastUsedAt: rootfs?.atime ?? null,
    damage: null,
    configDigest: image.configDigest,
    config,
    layers: layers.map(({ digest, mediaType, size }, position) => ({
      diffId: config.diffIds[position] ?? "",
      blobDigest: digest,
      mediaType,
      compressedSizeBytes: size,
      position,
    })),
    rootFileSystemBytes: rootfs?.size ?? null,
  };
}
