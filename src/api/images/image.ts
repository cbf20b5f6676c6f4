import { InvalidConfigError } from "../../errors/index.ts";
import type { ImageDetails, ImageSummary } from "../../image/store/manage.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import { checkList, checkOneOf } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import type {
  ImageConfigDetail,
  ImageFields,
  ImageLayerDetail,
  ImageLoadOptions,
  ImagePruneReport,
  ImageRemoveOptions,
  ImageSaveOptions,
} from "./image-types.ts";
import { findImageUses } from "../../image/store/uses.ts";

/** An image in the store, as it was when the handle was made. */
export class ImageHandle implements ImageFields {
  readonly reference: string;
  readonly sizeBytes: number | null;
  readonly manifestDigest: string | null;
  readonly architecture: string | null;
  readonly os: string | null;
  readonly layerCount: number;
  readonly lastUsedAt: Date | null;
  readonly createdAt: Date | null;
  readonly damage: string | null;

  /** @internal */
  constructor(summary: ImageSummary) {
    this.reference = summary.reference;
    this.sizeBytes = summary.sizeBytes;
    this.manifestDigest = summary.manifestDigest;
    this.architecture = summary.architecture;
    this.os = summary.os;
    this.layerCount = summary.layerCount;
    this.lastUsedAt = summary.lastUsedAt;
    this.createdAt = summary.createdAt;
    this.damage = summary.damage;
  }
}

/** Everything known about an image. */
export interface ImageDetail {
  readonly handle: ImageHandle;
  readonly config: ImageConfigDetail | null;
  /** Bottom to top. */
  readonly layers: readonly ImageLayerDetail[];
  /** Of the file that guests mount; null when it is not made yet. */
  readonly rootFileSystemBytes: number | null;
}

/**
 * The images that are stored on this computer: what was pulled for sandboxes, and what was loaded. The embedded image
 * `localhost/base` is not among them.
 *
 * Every method takes `{ signal, timeoutMs }`, which end the work at its next step; nothing half done is left in the store.
 *
 * @example
 * ```ts
 * import { Image } from "microsandbox";
 *
 * for (const image of await Image.list()) console.log(image.reference, image.sizeBytes);
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- the name that programs know these functions by
export class Image {
  /** @throws ImageNotFoundError; ImageError when the reference is none, or the image is damaged */
  static async get(reference: string, options: WaitOptions = {}): Promise<ImageHandle> {
    return (await inspect(reference, options)).handle;
  }

  /** All images, newest first; a damaged one says so in `damage`. */
  static async list(options: WaitOptions = {}): Promise<ImageHandle[]> {
    const { listImages } = await import("./image-collection.ts");
    const images = await Operation.run("list the images", options, (operation) =>
      operation.wait(listImages(locateHome())),
    );
    return images.map((image) => new ImageHandle(image));
  }

  /** @throws as {@link get} */
  static async inspect(reference: string, options: WaitOptions = {}): Promise<ImageDetail> {
    return await inspect(reference, options);
  }

  /**
   * Gives up a reference and removes what nothing else needs.
   *
   * @throws ImageNotFoundError; ImageInUseError when a sandbox or a snapshot needs it, unless `force` is set
   */
  static async remove(reference: string, options: ImageRemoveOptions & WaitOptions = {}): Promise<void> {
    const { removeImage } = await import("./image-collection.ts");
    const home = locateHome();
    const { force } = options;
    await Operation.run(
      `remove image ${reference}`,
      options,
      ({ signal }) =>
        removeImage(home, checkReference(reference), () => findImageUses(home), { force, signal }),
      { force: "boolean" },
    );
  }

  /** Removes every image that neither a sandbox nor a snapshot uses, and what interrupted pulls have left. */
  static async prune(options: WaitOptions = {}): Promise<ImagePruneReport> {
    return await prune(options);
  }

  /** The older form of {@link prune}. @returns how many references, manifests and layers were removed */
  static async gc(options: WaitOptions = {}): Promise<number> {
    const { imageRefsRemoved, manifestsRemoved, layersRemoved } = await prune(options);
    return imageRefsRemoved + manifestsRemoved + layersRemoved;
  }

  /** Removes layers that no image needs; every image stays. @returns how many */
  static async gcLayers(options: WaitOptions = {}): Promise<number> {
    const { collectGarbage, imageStore, prepareStore } = await import("./image-collection.ts");
    const home = locateHome();
    return await Operation.run("remove unused layers", options, async (operation) => {
      const store = imageStore(home);
      await operation.wait(prepareStore(store));
      const { signal } = operation;
      const everyLayer = (): boolean => true;
      const removed = await collectGarbage(store, () => findImageUses(home), everyLayer, {
        partial: true,
        signal,
      });
      return removed.layers;
    });
  }

  /**
   * Loads the images of an archive: what `docker save` writes or an OCI image layout, as a tar file, plain or compressed
   * with gzip or zstd; or of the directory of an OCI image layout.
   *
   * @throws ImageError when the archive is refused, IoError
   */
  static async load(path: string, options: ImageLoadOptions & WaitOptions = {}): Promise<ImageHandle[]> {
    const { loadImages } = await import("./image-collection.ts");
    const home = locateHome();
    const archive = checkString("the archive's path", path);
    const { tag } = options;
    if (tag !== undefined) checkString("tag", tag);
    const images = await Operation.run(
      `load images from ${archive}`,
      options,
      async (operation) => {
        await operation.wait(prepareHome(home));
        return await loadImages(home, archive, { tag, signal: operation.signal });
      },
      { tag: "any" },
    );
    return images.map((image) => new ImageHandle(image));
  }

  /**
   * Writes stored images into one archive, layers as they are stored.
   *
   * @throws ImageNotFoundError, and then nothing was written; IoError
   */
  static async save(
    references: string | readonly string[],
    options: ImageSaveOptions & WaitOptions,
  ): Promise<void> {
    const { outputPath, format = "docker" } = options;
    const list = typeof references === "string" ? [references] : checkList("the images to save", references);
    if (list.length === 0)
      throw new InvalidConfigError("no image was named", { hint: "Name at least one to be saved." });
    checkString("outputPath", outputPath);
    const kind = checkOneOf("format", format, ["docker", "oci"]);
    const { saveImages } = await import("./image-collection.ts");
    await Operation.run(
      `save images to ${outputPath}`,
      options,
      ({ signal }) =>
        saveImages(locateHome(), list.map(checkReference), outputPath, { format: kind, signal }),
      { outputPath: "any", format: "any" },
    );
  }
}

function checkReference(reference: unknown): string {
  return checkString("the image's reference", reference);
}

function detailOf(details: ImageDetails): ImageDetail {
  const { config, configDigest: digest } = details;
  return {
    handle: new ImageHandle(details),
    config: {
      digest,
      env: config.env,
      cmd: config.cmd,
      entrypoint: config.entrypoint,
      workingDir: config.workingDir,
      user: config.user,
      labels: Object.keys(config.labels).length === 0 ? null : config.labels,
      stopSignal: config.stopSignal,
    },
    layers: details.layers.map((layer) => ({ ...layer, erofsSizeBytes: null })),
    rootFileSystemBytes: details.rootFileSystemBytes,
  };
}

// Functions of their own: a class that names itself inside would lose its name in the bundle, and users see it.

async function inspect(reference: string, options: WaitOptions): Promise<ImageDetail> {
  const { inspectImage } = await import("./image-collection.ts");
  return await Operation.run(`inspect image ${reference}`, options, async (operation) =>
    detailOf(await operation.wait(inspectImage(locateHome(), checkReference(reference)))),
  );
}

async function prune(options: WaitOptions): Promise<ImagePruneReport> {
  const { pruneImages } = await import("./image-collection.ts");
  const home = locateHome();
  const { imageRefsRemoved, manifestsRemoved, layersRemoved, rootFileSystemsRemoved, bytesReclaimed } =
    await Operation.run("prune the images", options, ({ signal }) =>
      pruneImages(home, () => findImageUses(home), { signal }),
    );
  return {
    imageRefsRemoved,
    manifestsRemoved,
    layersRemoved,
    fsmetaRemoved: rootFileSystemsRemoved,
    vmdkRemoved: 0,
    bytesReclaimed,
  };
}
