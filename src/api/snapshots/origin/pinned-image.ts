import {
  HttpError,
  ImageError,
  SnapshotImageMissingError,
  SnapshotIntegrityError,
} from "../../../errors/index.ts";
import type { PullOptions } from "../../../image/pull/pull-options.ts";
import type { PulledImage } from "../../../image/stored.ts";
import type { FoundSnapshot } from "../../../store/snapshots/snapshots.ts";
import { imageByDigest } from "../../images/image-by-digest.ts";

/**
 * The very image that a snapshot's disk lies over, whatever its tag means by now: from the store, or else from its registry.
 *
 * @throws SnapshotImageMissingError when it cannot be had; SnapshotIntegrityError when the registry has another one; IoError, the
 *   signal's reason
 */
export async function pinnedImage(
  { descriptor, directory }: FoundSnapshot,
  options: PullOptions,
): Promise<PulledImage> {
  const { ref, manifest_digest: digest } = descriptor.image;
  const missing = (cause: unknown): SnapshotImageMissingError =>
    new SnapshotImageMissingError(`the image ${ref} (${digest}) of the snapshot ${directory} cannot be had`, {
      cause,
      hint: cause instanceof ImageError || cause instanceof HttpError ? cause.hint : "Pull it, or load it.",
    });
  if (digest === null) throw missing(new ImageError("the snapshot does not say which one it is"));
  let pulled: PulledImage;
  try {
    pulled = await imageByDigest(ref, digest, options);
  } catch (error) {
    if (error instanceof ImageError || error instanceof HttpError) throw missing(error);
    throw error;
  }
  if (pulled.manifestDigest === digest) return pulled;
  throw new SnapshotIntegrityError(
    `the registry has ${pulled.manifestDigest} for the image of the snapshot ${directory}, which is ${digest}`,
    { hint: "Load the image from an archive, or another copy of the snapshot with its image." },
  );
}
