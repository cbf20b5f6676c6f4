import { ImageError, JsonError } from "../../errors/index.ts";
import { parseImageConfig, type ImageConfig } from "../image-config.ts";
import { parseManifest, type Descriptor } from "../manifest.ts";
import { annotationKeys, entryName, readEntries, type IndexEntry } from "./index-file.ts";
import { readBlob, type ImageStore } from "./layout.ts";

/** An image as the store has it. Its layers may be missing; its manifest and its configuration are not. */
export interface StoredImage {
  readonly manifestDigest: string;
  readonly mediaType: string;
  readonly manifestSize: number;
  readonly configDigest: string;
  readonly configSize: number;
  readonly config: ImageConfig;
  /** Bottom to top. */
  readonly layers: readonly Descriptor[];
}

/** An image under one of its names. */
export interface NamedImage extends StoredImage {
  readonly reference: string;
  /** What the reference meant in the registry, or the archive, that the image came from. */
  readonly sourceDigest: string;
  readonly addedAt: Date | null;
}

/**
 * The image under a canonical reference; null when there is none, or when it is damaged so that it must be pulled again.
 */
export async function findImage(store: ImageStore, reference: string): Promise<NamedImage | null> {
  const entry = (await readEntries(store)).find((candidate) => entryName(candidate) === reference);
  return entry === undefined ? null : readNamed(store, entry);
}

/** Every named image that can be read. */
export async function readNamedImages(store: ImageStore): Promise<NamedImage[]> {
  const entries = await readEntries(store);
  const images = await Promise.all(entries.map((entry) => readNamed(store, entry)));
  return images.filter((image) => image !== null);
}

async function readNamed(store: ImageStore, entry: IndexEntry): Promise<NamedImage | null> {
  const reference = entryName(entry);
  const image = reference === undefined ? null : await readStoredImage(store, entry.digest, entry.mediaType);
  if (image === null || reference === undefined) return null;
  const added = Date.parse(entry.annotations?.[annotationKeys.addedAt] ?? "");
  const sourceDigest = entry.annotations?.[annotationKeys.sourceDigest] ?? image.manifestDigest;
  // Only this store writes the annotation, once the digest was checked; other tools may write any name.
  const pinned = reference.split("@")[1];
  if (pinned !== undefined && pinned !== image.manifestDigest && pinned !== sourceDigest) return null;
  return {
    ...image,
    reference,
    sourceDigest,
    addedAt: Number.isNaN(added) ? null : new Date(added),
  };
}

/** The image with this manifest; null when it is not stored, is damaged, or the digest is an index's. */
export async function readStoredImage(
  store: ImageStore,
  manifestDigest: string,
  mediaType: string | null = null,
): Promise<StoredImage | null> {
  try {
    const bytes = await readBlob(store, manifestDigest);
    if (bytes === null) return null;
    const parsed = parseManifest(bytes, mediaType, `the stored manifest ${manifestDigest}`);
    if (parsed.kind !== "image") return null;
    const { config, layers } = parsed.manifest;
    const configBytes = await readBlob(store, config.digest);
    if (configBytes === null) return null;
    return {
      manifestDigest,
      mediaType: parsed.mediaType,
      manifestSize: bytes.length,
      configDigest: config.digest,
      configSize: configBytes.length,
      config: parseImageConfig(configBytes, layers.length, `the stored config ${config.digest}`),
      layers,
    };
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof JsonError || error instanceof ImageError;
}
