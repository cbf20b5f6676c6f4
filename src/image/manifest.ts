import * as v from "valibot";
import { keyed } from "../config/keys/keyed.ts";
import { ImageError } from "../errors/index.ts";
import { requireDigest } from "./digest.ts";
import { check, parseObject } from "./json.ts";

/** Every media type of manifests and indexes that is understood, as `Accept` wants them. */
export const mediaTypes = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
} as const;

export const manifestMediaTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
];

const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerList]);
const imageTypes: ReadonlySet<string> = new Set([mediaTypes.ociManifest, mediaTypes.dockerManifest]);
const configTypes: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig]);
const layerTypes: ReadonlySet<string> = new Set([
  mediaTypes.ociLayer,
  `${mediaTypes.ociLayer}+gzip`,
  `${mediaTypes.ociLayer}+zstd`,
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd",
  // Not to be handed on, but to be used like any other where their blobs are.
  "application/vnd.oci.image.layer.nondistributable.v1.tar",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
  "application/vnd.docker.image.rootfs.foreign.diff.tar",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
]);

/** 4 MiB: what registries accept (distribution-spec, "Pushing Manifests"). */
export const maximumManifestBytes = 4 << 20;
/** 4 MiB, as podman, skopeo and buildah have it (containers/image, `MaxConfigBodySize`). */
export const maximumConfigBytes = 4 << 20;
/** Far above what builders make (docker stops at 127). */
export const maximumLayers = 500;

const platformSchema = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
});

/** Only names of images are read of them, so that what is no text is passed over. */
const annotations = v.pipe(
  keyed(v.unknown()),
  v.transform((found) =>
    Object.fromEntries(
      Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    ),
  ),
);

const descriptorSchema = v.object({
  mediaType: v.string(),
  digest: v.string(),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  urls: v.nullish(v.array(v.string())),
  annotations: v.nullish(annotations),
  platform: v.optional(v.nullable(platformSchema)),
});

/** What names some bytes (image-spec, descriptor.md); its digest has been checked. */
export type Descriptor = v.InferOutput<typeof descriptorSchema>;
export type Platform = v.InferOutput<typeof platformSchema>;

const indexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(descriptorSchema),
  annotations: v.nullish(annotations),
});
export type ImageIndex = v.InferOutput<typeof indexSchema>;

/** Annotations of what an image consists of are not used, and would be kept for as long as the image is being made. */
const partSchema = v.omit(descriptorSchema, ["annotations"]);

const manifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  config: partSchema,
  layers: v.array(partSchema),
});
export type ImageManifest = v.InferOutput<typeof manifestSchema>;

export type ParsedManifest =
  | { readonly kind: "index"; readonly mediaType: string; readonly index: ImageIndex }
  | { readonly kind: "image"; readonly mediaType: string; readonly manifest: ImageManifest };

/**
 * Reads a manifest or an index, OCI's or docker's.
 *
 * @param declaredType the media type that came with it, from a descriptor or a `Content-Type`; null when there is none
 * @param what names it in errors
 * @throws ImageError when it is neither, or one that cannot or must not be used
 */
export function parseManifest(bytes: Uint8Array, declaredType: string | null, what: string): ParsedManifest {
  if (bytes.length > maximumManifestBytes) throw tooLong(what);
  const json = parseObject(bytes, what);
  const mediaType = manifestType(json, declaredType, what);
  if (indexTypes.has(mediaType)) {
    const index = check(indexSchema, json, what);
    index.manifests.forEach(({ digest }, i) => requireDigest(digest, `entry ${i} of ${what}`));
    return { kind: "index", mediaType, index };
  }
  const manifest = check(manifestSchema, json, what);
  checkConfig(manifest.config, what);
  checkLayers(manifest.layers, what);
  return { kind: "image", mediaType, manifest };
}

function tooLong(what: string): ImageError {
  return new ImageError(`${what} is longer than ${maximumManifestBytes >> 20} MiB`);
}

/**
 * A document must not be readable in two ways, or two programs could see two images under one digest: what it says of
 * itself, what it is sent as and the fields it has must agree (image-spec, manifest.md, on `mediaType`; CVE-2021-41190).
 */
function manifestType(
  json: Readonly<Record<string, unknown>>,
  declaredType: string | null,
  what: string,
): string {
  const declared = declaredType?.split(";")[0]?.trim().toLowerCase() ?? null;
  const own = typeof json["mediaType"] === "string" ? json["mediaType"] : null;
  if (json["schemaVersion"] === 1 || /distribution\.manifest\.v1\+/.test(own ?? declared ?? "")) {
    throw new ImageError(`${what} is in docker's old format (schema 1)`, {
      hint: "Push the image again with a docker of 2017 (17.06) or later.",
    });
  }
  const isIndex = "manifests" in json;
  if (isIndex && ("layers" in json || "config" in json || "fsLayers" in json)) {
    throw new ImageError(`${what} can be read as an image and as an index`);
  }
  const guessed = isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest;
  const isKnown = (type: string | null): type is string =>
    type !== null && (indexTypes.has(type) || imageTypes.has(type));
  const type = own ?? (isKnown(declared) ? declared : guessed);
  if (!isKnown(type)) {
    throw new ImageError(`${what} has the media type ${JSON.stringify(type)}, which is no container image's`);
  }
  const contradicts = isKnown(declared) && indexTypes.has(declared) !== indexTypes.has(type);
  if (contradicts || indexTypes.has(type) !== isIndex) {
    throw new ImageError(`${what} is sent as one kind of document and is another`);
  }
  return type;
}

function checkConfig(config: Descriptor, what: string): void {
  requireDigest(config.digest, `the config of ${what}`);
  if (!configTypes.has(config.mediaType)) {
    throw new ImageError(`${what} is no container image: its config is ${JSON.stringify(config.mediaType)}`, {
      hint: "It may be a Helm chart or another artifact that is kept in a registry.",
    });
  }
  if (config.size > maximumConfigBytes) {
    throw new ImageError(`the config of ${what} is longer than ${maximumConfigBytes >> 20} MiB`);
  }
}

/** Whether a layer need not be where the rest of its image is (image-spec, layer.md, "Non-Distributable Layers"). */
export function isKeptElsewhere({ mediaType, urls }: Descriptor): boolean {
  return /foreign|nondistributable/.test(mediaType) || (urls?.length ?? 0) > 0;
}

function checkLayers(layers: readonly Descriptor[], what: string): void {
  if (layers.length > maximumLayers) {
    throw new ImageError(`${what} has ${layers.length} layers; the limit is ${maximumLayers}`);
  }
  layers.forEach((layer, i) => {
    const name = `layer ${i} of ${what}`;
    requireDigest(layer.digest, name);
    if (layer.mediaType.endsWith("+encrypted")) throw new ImageError(`${name} is encrypted`);
    if (!layerTypes.has(layer.mediaType)) {
      throw new ImageError(`${name} has the unknown media type ${JSON.stringify(layer.mediaType)}`);
    }
  });
}
