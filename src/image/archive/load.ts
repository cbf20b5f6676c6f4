import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { ImageError, MicrosandboxError } from "../../errors/index.ts";
import { ioError, errorCode } from "../../host/system-error.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import type { Home } from "../../store/home.ts";
import { verifyBytes } from "../digest.ts";
import { parseImageConfig } from "../image-config.ts";
import { imageLimits, type ImageLimits } from "../limits.ts";
import { maximumConfigBytes, type Platform } from "../manifest.ts";
import { materialize } from "../pull/materialize.ts";
import { describePlatform, hostPlatform } from "../platform.ts";
import { parseReference, pinnedName, type ImageReference } from "../reference.ts";
import { dropDamaged } from "../store/blobs.ts";
import { bringing, type Brought } from "../store/brought.ts";
import { blobsOf } from "../store/images.ts";
import { nameImage } from "../store/index-file.ts";
import { imageStore, prepareStore, writeBlob, type ImageStore } from "../store/layout.ts";
import { withLease } from "../store/leases.ts";
import { inspectImage, type ImageDetails } from "../store/manage.ts";
import { rootFileSystemKey } from "../store/rootfs-path.ts";
import { adopt } from "./adopt.ts";
import { readContents, type ArchivedImage } from "./contents.ts";
import { readLayoutDirectory } from "./layout-directory.ts";
import { spoolArchive } from "./spool.ts";

/**
 * Images from files and to files. Reading order: `load.ts`, `spool.ts` (the archive's files, put aside) and
 * `layout-directory.ts`, `contents.ts` (which images they are), `adopt.ts`, `save.ts`.
 */
export interface LoadOptions {
  /** Names the first image, instead of what the archive calls it. */
  readonly tag?: string | undefined;
  /** Takes the image with this manifest alone, under a name with its digest: what the archive calls it counts for nothing. */
  readonly pinned?: { readonly reference: string; readonly manifestDigest: string } | undefined;
  readonly platform?: Platform | undefined;
  /** Wins over `images` of config.json, limit by limit. */
  readonly limits?: Partial<ImageLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads the images of an archive: an OCI image layout or what `docker save` writes, as a tar file, plain or compressed with
 * gzip or zstd; or of the directory of an OCI image layout. What is loaded is ready to be booted.
 *
 * @param source a path, or the archive's bytes
 * @throws ImageError when the archive or an image in it is refused: that image and those after it are not loaded then;
 *   InvalidConfigError, IoError
 * @example
 * ```ts
 * const images = await loadImages(locateHome(), "images.tar.gz", { tag: "my/app:1" });
 * ```
 */
export async function loadImages(
  home: Home,
  source: string | Readable,
  options: LoadOptions = {},
): Promise<ImageDetails[]> {
  const { tag, platform = hostPlatform(), signal } = options;
  // Before anything is read.
  const wanted = tag === undefined ? null : parseReference(tag);
  if ((wanted?.digest ?? null) !== null) {
    throw new ImageError("an image cannot be tagged with a digest", {
      hint: "Use a name and a tag, such as my/app:1.",
    });
  }
  const limits = await imageLimits({ home, limits: options.limits });
  const store = imageStore(home);
  await prepareStore(store);
  const directory = join(store.ingest, `load-${randomBytes(8).toString("hex")}`);
  // Held so that garbage collection sees that someone works here.
  const lock = await tryLockFile(`${directory}.lock`);
  try {
    await mkdir(directory, { mode: 0o700 });
    const archive =
      typeof source === "string" && (await isDirectory(source))
        ? await readLayoutDirectory(source)
        : await spoolArchive(
            typeof source === "string" ? await openArchive(source) : source,
            typeof source === "string" ? source : "what was sent",
            directory,
            limits.maxUncompressedBytes,
            signal,
          );
    const images = await readContents(archive, platform);
    if (images.length === 0) throw new ImageError("the archive holds no image");
    const loaded: ImageDetails[] = [];
    for (const { image, names } of chosen(images, wanted, options)) {
      // The archive is at hand for another try, so that nothing has to stay here for it.
      await bringing(
        home,
        () => false,
        (brought) => loadOne({ store, image, names, platform, limits, brought, signal }),
      );
      for (const name of names) loaded.push(await inspectImage(home, name));
    }
    return loaded;
  } catch (error) {
    if (error instanceof MicrosandboxError || errorCode(error) === undefined) throw error;
    throw ioError("load the archive", error);
  } finally {
    await rm(directory, { recursive: true, force: true });
    await rm(`${directory}.lock`, { force: true });
    await lock?.release();
  }
}

interface ChosenImage {
  readonly image: ArchivedImage;
  readonly names: readonly string[];
}

/** Which images are taken, and under which names. @throws ImageError when one that is taken has none */
function* chosen(
  images: readonly ArchivedImage[],
  wanted: ImageReference | null,
  { pinned }: LoadOptions,
): Generator<ChosenImage> {
  if (pinned === undefined) {
    for (const [position, image] of images.entries()) {
      yield {
        image,
        names: position === 0 && wanted !== null ? [wanted.canonical] : namesOf(image, position),
      };
    }
    return;
  }
  const { manifestDigest, reference } = pinned;
  const image = images.find((each) => each.image.digest === manifestDigest);
  if (image === undefined) throw new ImageError(`the archive lacks the image ${manifestDigest}`);
  yield { image, names: [pinnedName(reference, manifestDigest)] };
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}

async function openArchive(path: string): Promise<Readable> {
  try {
    const file = await open(path, "r");
    return file.createReadStream({ highWaterMark: 1 << 20 });
  } catch (error) {
    throw ioError(`open the archive ${path}`, error);
  }
}

/**
 * A name with a digest counts only when the image has that digest: otherwise whoever made the archive could decide what a
 * digest means that someone pinned.
 */
function namesOf({ names, rootDigest, image }: ArchivedImage, position: number): string[] {
  const own: readonly (string | null)[] = [null, rootDigest, image.digest];
  const parsed = names.map(parseReference);
  const right = parsed.filter(({ digest }) => own.includes(digest)).map(({ canonical }) => canonical);
  if (right.length === 0) {
    const problem = parsed.length === 0 ? "" : " but one with the digest of another image";
    throw new ImageError(`image ${position + 1} of the archive has no name${problem}`, {
      hint: position === 0 ? "Name it with the option tag (-t)." : "Save it again with a name and a tag.",
    });
  }
  return right;
}

interface OneImage {
  readonly store: ImageStore;
  readonly image: ArchivedImage;
  readonly names: readonly string[];
  readonly platform: Platform;
  readonly limits: ImageLimits;
  readonly brought: Brought;
  readonly signal: AbortSignal | undefined;
}

async function loadOne(request: OneImage): Promise<void> {
  const { store, image: archived, names, platform, limits, brought, signal } = request;
  const { image } = archived;
  const { config: configDescriptor, layers } = image.manifest;
  const name = names[0] ?? "";
  const configFile = archived.blob(configDescriptor);
  if (configFile.size > maximumConfigBytes) throw new ImageError(`the config of ${name} is too long`);
  const configBytes = await readFile(configFile.path);
  verifyBytes(configBytes, configDescriptor.digest, `the config of ${name}`);
  const config = parseImageConfig(configBytes, layers.length, `the config of ${name}`);
  if (config.os !== platform.os || config.architecture !== platform.architecture) {
    throw new ImageError(
      `${name} is for ${describePlatform(config)}, but this machine runs ${describePlatform(platform)}`,
    );
  }
  const lease = {
    blobs: blobsOf({ manifestDigest: image.digest, configDigest: configDescriptor.digest, layers }),
    rootfs: [rootFileSystemKey(config.diffIds)],
  };
  brought.add(lease);
  await withLease(store, lease, signal, async () => {
    await dropDamaged(store, layers, signal);
    // The config was read; its file may be a layer's too in a strange archive, so it is written anew.
    await writeBlob(store, configBytes, configDescriptor.digest);
    for (const layer of layers) await adopt(store, layer, () => archived.blob(layer), signal);
    await writeBlob(store, image.bytes, image.digest);
    const stored = {
      manifestDigest: image.digest,
      mediaType: image.mediaType,
      manifestSize: image.bytes.length,
      configDigest: configDescriptor.digest,
      configSize: configBytes.length,
      config,
      layers,
    };
    const report = (): void => undefined;
    await materialize(store, stored, name, { limits, thorough: true, report, signal });
    const { digest, mediaType } = image;
    for (const each of names) {
      const sourceDigest = archived.rootDigest;
      const size = image.bytes.length;
      const other = await nameImage(store, each, { mediaType, digest, size, sourceDigest }, signal);
      await brought.addDisplaced(store, other);
    }
  });
}
