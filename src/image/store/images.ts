import { ImageError, ImageNotFoundError, JsonError } from "../../errors/index.ts";
import { embeddedImage, isEmbeddedImage } from "../embedded.ts";
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

/** Everything under `blobs` that an image consists of. */
export function blobsOf({
  manifestDigest,
  configDigest,
  layers,
}: Pick<StoredImage, "manifestDigest" | "configDigest" | "layers">): string[] {
  return [manifestDigest, configDigest, ...layers.map(({ digest }) => digest)];
}

/** An image under one of its names. */
export interface NamedImage extends StoredImage {
  readonly reference: string;
  /** What the reference meant in the registry, or the archive, that the image came from. */
  readonly sourceDigest: string;
  readonly addedAt: Date | null;
}

/** A name whose image cannot be read any more: its manifest or its configuration is missing or damaged. */
export interface DamagedImage {
  readonly reference: string;
  readonly manifestDigest: string;
  readonly addedAt: Date | null;
  /** What is wrong, for an error. */
  readonly damage: string;
}

export function isDamaged(image: NamedImage | DamagedImage): image is DamagedImage {
  return "damage" in image;
}

/** For who wants to use it. @param what is wrong with it */
export function damageError(reference: string, what: string, cause?: unknown): ImageError {
  return new ImageError(`the stored image ${reference} is damaged: ${what}`, {
    hint: `Fetch it again: msb pull --force ${reference}. An image that was loaded is mended by loading its archive again.`,
    cause,
  });
}

/** The image under a canonical reference; null when there is none. */
export async function findImage(
  store: ImageStore,
  reference: string,
): Promise<NamedImage | DamagedImage | null> {
  const entry = (await readEntries(store)).find((candidate) => entryName(candidate) === reference);
  return entry === undefined ? null : readNamed(store, entry);
}

/** @param reference canonical. @throws ImageNotFoundError; ImageError when it is damaged */
export async function requireImage(store: ImageStore, reference: string): Promise<NamedImage> {
  const image = await findImage(store, reference);
  if (image === null) throw notStored(reference);
  if (isDamaged(image)) throw damageError(reference, image.damage);
  return image;
}

export function notStored(reference: string): ImageNotFoundError {
  if (isEmbeddedImage(reference)) {
    return new ImageNotFoundError(
      `${embeddedImage} is not among the stored images: it comes with this package`,
      {
        hint: "Sandboxes can be made from it as it is; there is nothing to pull, save or remove.",
      },
    );
  }
  return new ImageNotFoundError(`no image ${reference} is stored here`, {
    hint: 'See "msb images" for the ones there are, or pull it.',
  });
}

/** Every named image. */
export async function readNamedImages(store: ImageStore): Promise<(NamedImage | DamagedImage)[]> {
  const entries = await readEntries(store);
  const images = await Promise.all(entries.map((entry) => readNamed(store, entry)));
  return images.filter((image) => image !== null);
}

async function readNamed(store: ImageStore, entry: IndexEntry): Promise<NamedImage | DamagedImage | null> {
  const reference = entryName(entry);
  if (reference === undefined) return null;
  const read = await readManifestAndConfig(store, entry.digest, entry.mediaType);
  const added = Date.parse(entry.annotations?.[annotationKeys.addedAt] ?? "");
  const addedAt = Number.isNaN(added) ? null : new Date(added);
  const sourceDigest = entry.annotations?.[annotationKeys.sourceDigest] ?? entry.digest;
  // Only this store writes the annotation, once the digest was checked; other tools may write any name.
  const pinned = reference.split("@")[1];
  if (pinned !== undefined && pinned !== entry.digest && pinned !== sourceDigest) return null;
  switch (read.kind) {
    case "index":
      return null;
    case "damaged":
      return { reference, manifestDigest: entry.digest, addedAt, damage: read.damage };
    case "image":
      return { ...read.image, reference, sourceDigest, addedAt };
  }
}

/** The image with this manifest; null when it is not stored, is damaged, or the digest is an index's. */
export async function readStoredImage(
  store: ImageStore,
  manifestDigest: string,
): Promise<StoredImage | null> {
  const read = await readManifestAndConfig(store, manifestDigest, null);
  return read.kind === "image" ? read.image : null;
}

/** What is wrong with the image with this manifest; null for what is no image, or right as far as this looks. */
export async function damageOf(store: ImageStore, manifestDigest: string): Promise<string | null> {
  const read = await readManifestAndConfig(store, manifestDigest, null);
  return read.kind === "damaged" ? read.damage : null;
}

type Read =
  | { readonly kind: "image"; readonly image: StoredImage }
  | { readonly kind: "index" }
  | { readonly kind: "damaged"; readonly damage: string };

async function readManifestAndConfig(
  store: ImageStore,
  manifestDigest: string,
  mediaType: string | null,
): Promise<Read> {
  const missing = (what: string, digest: string): Read => ({
    kind: "damaged",
    damage: `its ${what} ${digest} is missing`,
  });
  try {
    const bytes = await readBlob(store, manifestDigest);
    if (bytes === null) return missing("manifest", manifestDigest);
    const parsed = parseManifest(bytes, mediaType, `its manifest ${manifestDigest}`);
    if (parsed.kind !== "image") return { kind: "index" };
    const { config, layers } = parsed.manifest;
    const configBytes = await readBlob(store, config.digest);
    if (configBytes === null) return missing("configuration", config.digest);
    const image: StoredImage = {
      manifestDigest,
      mediaType: parsed.mediaType,
      manifestSize: bytes.length,
      configDigest: config.digest,
      configSize: configBytes.length,
      config: parseImageConfig(configBytes, layers.length, `its configuration ${config.digest}`),
      layers,
    };
    return { kind: "image", image };
  } catch (error) {
    if (error instanceof JsonError || error instanceof ImageError)
      return { kind: "damaged", damage: error.message };
    throw error;
  }
}
