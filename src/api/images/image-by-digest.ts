import { ImageError } from "../../errors/index.ts";
import { pullImage } from "../../image/pull/pull.ts";
import type { PullOptions } from "../../image/pull/pull-options.ts";
import { pinnedName } from "../../image/reference.ts";
import { storedImage, type PulledImage } from "../../image/stored.ts";

/**
 * The very image that something was made with, whatever its tag means by now: from the store, or else from its registry.
 *
 * @param digest of its manifest
 * @returns with the reference that was given. Who answers for a registry that has another one under this digest looks at `manifestDigest`
 * @throws ImageError, HttpError when it cannot be had; IoError, the signal's reason
 */
export async function imageByDigest(
  reference: string,
  digest: string,
  options: PullOptions,
): Promise<PulledImage> {
  const { home, signal } = options;
  try {
    return await storedImage(digest, reference, { home, signal });
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
  // What is stored under that name is damaged or incomplete, so only the registry is left; the policy `never` fails as it does.
  return { ...(await pullImage(pinnedName(reference, digest), options)), reference };
}
