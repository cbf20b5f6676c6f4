/** An image in the store, as lists show it. A snapshot: it does not change afterwards. */
export interface ImageFields {
  /** In full: `docker.io/library/alpine:latest`. */
  readonly reference: string;
  /** As stored, compressed; each layer counts once. */
  readonly sizeBytes: number | null;
  readonly manifestDigest: string | null;
  /** As Go names it: `amd64`, `arm64`. */
  readonly architecture: string | null;
  readonly os: string | null;
  readonly layerCount: number;
  /** When a sandbox or a pull last asked for it. */
  readonly lastUsedAt: Date | null;
  /** When it came into the store under this reference. */
  readonly createdAt: Date | null;
  /**
   * Why the image cannot be used: its manifest or its configuration is missing or damaged on the disk. Null when they are not.
   * `msb pull --force`, or loading it again, mends it.
   */
  readonly damage: string | null;
}

/** What an image says about how it wants to be run; null: not said. */
export interface ImageConfigDetail {
  readonly digest: string;
  /** `K=V` each. */
  readonly env: readonly string[];
  readonly cmd: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly workingDir: string | null;
  readonly user: string | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly stopSignal: string | null;
}

export interface ImageLayerDetail {
  /** Of the layer's uncompressed tar. */
  readonly diffId: string;
  /** Of the layer as it is stored. */
  readonly blobDigest: string;
  readonly mediaType: string | null;
  readonly compressedSizeBytes: number | null;
  /** Always null here: all layers together make one EROFS file, `ImageDetail.rootFileSystemBytes` long. */
  readonly erofsSizeBytes: number | null;
  /** 0 = the lowest. */
  readonly position: number;
}

/** What a prune has removed. */
export interface ImagePruneReport {
  readonly imageRefsRemoved: number;
  readonly manifestsRemoved: number;
  readonly layersRemoved: number;
  /** Root file systems made of images. */
  readonly fsmetaRemoved: number;
  /** Always 0: this package makes no such files. */
  readonly vmdkRemoved: number;
  readonly bytesReclaimed: number | null;
}

export interface ImageRemoveOptions {
  /** Also when a sandbox uses the image: the name goes, and what the sandbox needs stays until it is removed. */
  readonly force?: boolean;
}

export interface ImageLoadOptions {
  /** Names the first image, instead of what the archive calls it. */
  readonly tag?: string;
}

export interface ImageSaveOptions {
  /**
   * The archive, a tar file; it appears when it is complete. Links are followed, and pipes and devices, `/dev/stdout` too, are
   * written through.
   */
  readonly outputPath: string;
  /** `docker` (by default): what `docker load` and everything else reads; `oci`: an OCI image layout alone. */
  readonly format?: "docker" | "oci";
}
