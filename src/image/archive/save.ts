import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Readable, type Writable } from "node:stream";
import { ImageError, ImageNotFoundError, MicrosandboxError } from "../../errors/index.ts";
import { writeUserFile } from "../../host/files/user-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../../store/home.ts";
import { hashFor, requireDigest } from "../digest.ts";
import { parseReference, pinnedName } from "../reference.ts";
import { damageError, readStoredImage, requireImage, type NamedImage } from "../store/images.ts";
import { annotationKeys } from "../store/index-file.ts";
import { blobPath, hasBlob, imageStore, type ImageStore } from "../store/layout.ts";
import { withLease } from "../store/leases.ts";
import { tarEnd, tarHeader, tarPadding } from "../tar/writer.ts";

/** `docker`: an OCI layout with docker's `manifest.json` in it, as docker itself writes since 25; `oci`: the layout alone. */
export type ArchiveFormat = "docker" | "oci";

export interface SaveOptions {
  readonly format?: ArchiveFormat | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes stored images into one tar archive that docker, podman, skopeo and `loadImages` read. Layers are written as they
 * are stored, compressed.
 *
 * @param output a path, see `writeUserFile`: a file appears when the archive is complete; or a stream, which is ended
 * @throws ImageNotFoundError, before anything is written; ImageError when parts of an image are missing or damaged; IoError
 * @example
 * ```ts
 * await saveImages(locateHome(), ["alpine:3.20"], "alpine.tar", { format: "oci" });
 * ```
 */
export async function saveImages(
  home: Home,
  references: readonly string[],
  output: string | Writable,
  options: SaveOptions = {},
): Promise<void> {
  const store = imageStore(home);
  const images: NamedImage[] = [];
  for (const reference of references) {
    images.push(await requireImage(store, parseReference(reference).canonical));
  }
  if (images.length === 0)
    throw new ImageError("no image was named", { hint: "Name the images to be saved." });
  await saveStored(store, images, output, options);
}

/**
 * The same for the image with one manifest, whatever names there are for it: it is named by its digest.
 *
 * @throws ImageNotFoundError, ImageError, IoError as {@link saveImages}
 */
export async function savePinnedImage(
  home: Home,
  { reference, manifestDigest }: { readonly reference: string; readonly manifestDigest: string },
  output: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const store = imageStore(home);
  const image = await readStoredImage(store, manifestDigest);
  const name = pinnedName(reference, manifestDigest);
  if (image === null) {
    throw new ImageNotFoundError(`the image ${name} is not stored here`, {
      hint: `Pull it: msb pull ${name}`,
    });
  }
  const named = { ...image, reference: name, sourceDigest: manifestDigest, addedAt: null };
  await saveStored(store, [named], output, { format: "oci", signal });
}

async function saveStored(
  store: ImageStore,
  images: readonly NamedImage[],
  output: string | Writable,
  { format = "docker", signal }: SaveOptions,
): Promise<void> {
  const blobs = blobSizes(images);
  await withLease(store, { blobs: [...blobs.keys()], rootfs: [] }, signal, async () => {
    for (const [digest, size] of blobs) {
      if (await hasBlob(store, digest, size)) continue;
      throw damagedPart(images, digest, "is missing or has another length");
    }
    const archive = (): Readable =>
      Readable.from(archiveOf(store, images, blobs, format), { objectMode: false });
    if (typeof output === "string") await writeUserFile(output, archive, { signal });
    else await writeStream(archive(), output, signal);
  });
}

/** Each blob once, by digest, in bytes. */
function blobSizes(images: readonly NamedImage[]): Map<string, number> {
  const blobs = new Map<string, number>();
  for (const { manifestDigest, manifestSize, configDigest, configSize, layers } of images) {
    blobs.set(manifestDigest, manifestSize);
    blobs.set(configDigest, configSize);
    for (const { digest, size } of layers) blobs.set(digest, size);
  }
  return new Map([...blobs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function* archiveOf(
  store: ImageStore,
  images: readonly NamedImage[],
  blobs: ReadonlyMap<string, number>,
  format: ArchiveFormat,
): AsyncGenerator<Buffer> {
  const documents: Record<string, unknown> = {
    "oci-layout": { imageLayoutVersion: "1.0.0" },
    "index.json": ociIndex(images),
  };
  if (format === "docker") documents["manifest.json"] = dockerManifest(images);
  for (const [name, document] of Object.entries(documents)) {
    const bytes = Buffer.from(JSON.stringify(document));
    yield headerOf(name, bytes.length);
    yield bytes;
    yield tarPadding(bytes.length);
  }
  for (const [digest, size] of blobs) {
    yield headerOf(archivePath(digest), size);
    const expected = requireDigest(digest, "a blob");
    const hash = hashFor(expected);
    let written = 0;
    for await (const chunk of read(blobPath(store, digest))) {
      written += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
    if (written !== size || hash.digest("hex") !== expected.hex)
      throw damagedPart(images, digest, "has other content than that");
    yield tarPadding(size);
  }
  yield tarEnd;
}

/** No time and no owner: the same images make the same archive. */
function headerOf(name: string, size: number): Buffer {
  return tarHeader({ name: Buffer.from(name), type: "file", mode: 0o644, uid: 0, gid: 0, size, mtimeNs: 0n });
}

async function* read(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw ioError(`read ${path}`, error);
  }
}

/** @param what of the blob */
function damagedPart(images: readonly NamedImage[], digest: string, what: string): ImageError {
  const owner = images.find(
    ({ manifestDigest, configDigest, layers }) =>
      [manifestDigest, configDigest].includes(digest) || layers.some((layer) => layer.digest === digest),
  );
  return damageError(owner?.reference ?? "", `its part ${digest} ${what}`);
}

function archivePath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function ociIndex(images: readonly NamedImage[]): object {
  return {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: images.map((image) => ({
      mediaType: image.mediaType,
      digest: image.manifestDigest,
      size: image.manifestSize,
      platform: { architecture: image.config.architecture, os: image.config.os },
      annotations: {
        [annotationKeys.refName]: nameInArchive(image),
        [annotationKeys.containerdName]: nameInArchive(image),
      },
    })),
  };
}

/** The index that a digest may be of is not saved, so the name has the digest of what is: others can check that. */
function nameInArchive({ reference, manifestDigest }: NamedImage): string {
  const { domain, path, digest, canonical } = parseReference(reference);
  return digest === null ? canonical : `${domain}/${path}@${manifestDigest}`;
}

function dockerManifest(images: readonly NamedImage[]): object {
  const byManifest = Map.groupBy(images, ({ manifestDigest }) => manifestDigest);
  return [...byManifest.values()].flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : [
          {
            Config: archivePath(first.configDigest),
            // A digest cannot be a tag.
            RepoTags: [first, ...others]
              .map(({ reference }) => reference)
              .filter((name) => !name.includes("@")),
            Layers: first.layers.map(({ digest }) => archivePath(digest)),
          },
        ],
  );
}

async function writeStream(
  archive: Readable,
  output: Writable,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await pipeline(archive, output, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    // A reader that went away is no failure of the writing: who gave the stream knows what it means.
    if (error instanceof MicrosandboxError || errorCode(error) === "EPIPE") throw error;
    throw ioError("write the archive", error);
  }
}
