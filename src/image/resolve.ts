import { ImageError } from "../errors/index.ts";
import { parseManifest, type Descriptor, type ImageManifest, type Platform } from "./manifest.ts";
import { noSuchPlatform, suitableEntries } from "./platform.ts";

/** Where manifests come from: a registry, an archive, the store. What is returned has the digest it was asked for. */
export interface ManifestSource {
  fetchManifest(descriptor: Descriptor): Promise<Uint8Array>;
}

/** A manifest with the bytes its digest is of. */
export interface ResolvedImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly manifest: ImageManifest;
}

export interface FoundManifest {
  readonly digest: string;
  /** From a descriptor or a `Content-Type`. */
  readonly mediaType: string | null;
  readonly bytes: Uint8Array;
}

/** An index within an index within an index is more than any builder makes. */
const maximumDepth = 4;
/** How many documents are read to find one image. */
const maximumDocuments = 32;

/**
 * Goes from a manifest or an index to the image for a platform, through nested indexes.
 *
 * @throws ImageError when there is none, or the indexes go round in circles
 */
export async function resolveImage(
  root: FoundManifest,
  source: ManifestSource,
  platform: Platform,
  what: string,
): Promise<ResolvedImage> {
  const visited = new Set<string>();
  const visit = async (found: FoundManifest, path: readonly string[]): Promise<ResolvedImage | null> => {
    if (path.includes(found.digest)) throw new ImageError(`the indexes of ${what} go round in circles`);
    if (path.length > maximumDepth) {
      throw new ImageError(`${what} has indexes nested more than ${maximumDepth} deep`);
    }
    if (visited.has(found.digest)) return null;
    visited.add(found.digest);
    if (visited.size > maximumDocuments) throw new ImageError(`${what} has too many nested indexes`);
    const name = path.length === 0 ? what : `manifest ${found.digest} of ${what}`;
    const parsed = parseManifest(found.bytes, found.mediaType, name);
    if (parsed.kind === "image") {
      const { digest, bytes } = found;
      return { digest, bytes, mediaType: parsed.mediaType, manifest: parsed.manifest };
    }
    const { manifests } = parsed.index;
    for (const entry of suitableEntries(manifests, platform)) {
      const { digest, mediaType } = entry;
      const below = [...path, found.digest];
      if (below.includes(digest)) throw new ImageError(`the indexes of ${what} go round in circles`);
      const image = await visit({ digest, mediaType, bytes: await source.fetchManifest(entry) }, below);
      if (image !== null) return image;
    }
    if (path.length === 0) throw noSuchPlatform(what, platform, manifests);
    return null;
  };
  const image = await visit(root, []);
  if (image === null) throw noSuchPlatform(what, platform, []);
  return image;
}
