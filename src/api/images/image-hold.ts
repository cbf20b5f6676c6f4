import type { PulledImage } from "../../image/stored.ts";
import { readStoredImage } from "../../image/store/images.ts";
import { exists, imageStore } from "../../image/store/layout.ts";
import { withStoreLock } from "../../image/store/locking.ts";
import type { Home } from "../../store/home.ts";

/**
 * Whether an image that a sandbox's record names is there. Images are removed under the index's lock by someone who looked
 * at the records first. Whoever looked before the record was there is waited for; whoever looks later spares the image.
 */
export async function isHeld(
  home: Home,
  { manifestDigest, rootFileSystem }: PulledImage,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const store = imageStore(home);
  return await withStoreLock(
    store.indexLock,
    signal,
    async () =>
      (await readStoredImage(store, manifestDigest)) !== null && (await exists(rootFileSystem.path)),
  );
}
