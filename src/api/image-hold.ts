import { access } from "node:fs/promises";
import type { PulledImage } from "../image/pull.ts";
import { readStoredImage } from "../image/store/images.ts";
import { imageStore } from "../image/store/layout.ts";
import { withLease } from "../image/store/leases.ts";
import { rootFileSystemKey } from "../image/store/rootfs.ts";
import type { Home } from "../store/index.ts";

/**
 * Runs `action` while nobody can remove the image.
 *
 * @returns null when it was removed before it could be held
 */
export async function holdImage<T>(
  home: Home,
  { manifestDigest, rootFileSystem }: PulledImage,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<{ readonly result: T } | null> {
  const store = imageStore(home);
  const image = await readStoredImage(store, manifestDigest);
  if (image === null) return null;
  const lease = {
    blobs: [manifestDigest, image.configDigest, ...image.layers.map(({ digest }) => digest)],
    rootfs: [rootFileSystemKey(image.config.diffIds)],
  };
  return await withLease(store, lease, signal, async () => {
    // Removing goes on under a lock that the lease waits for: from here on it stays as it is found.
    const isWhole =
      (await readStoredImage(store, manifestDigest)) !== null && (await isThere(rootFileSystem.path));
    return isWhole ? { result: await action() } : null;
  });
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
