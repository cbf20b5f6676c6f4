import type { Home } from "../../store/home.ts";
import { collectGarbage } from "./garbage.ts";
import { blobsOf, readStoredImage } from "./images.ts";
import { imageStore, type ImageStore } from "./layout.ts";
import type { Lease } from "./leases.ts";
import { rootFileSystemKey } from "./rootfs-path.ts";
import { findImageUses } from "./uses.ts";

/** How long the next pull may go on with what an interrupted one has left, in milliseconds: a day. */
const resumeMs = 86_400_000;

/** What an operation brings into the store, or takes a name from: what no image names when it has ended goes with it. */
export class Brought {
  readonly #names = new Set<string>();

  add({ blobs, rootfs }: Lease): void {
    for (const name of [...blobs, ...rootfs]) this.#names.add(name);
  }

  /** What had a name that another image has now. @param manifestDigest null when there was nothing */
  async addDisplaced(store: ImageStore, manifestDigest: string | null): Promise<void> {
    if (manifestDigest === null) return;
    const image = await readStoredImage(store, manifestDigest);
    this.add({
      blobs: image === null ? [manifestDigest] : blobsOf(image),
      rootfs: image === null ? [] : [rootFileSystemKey(image.config.diffIds)],
    });
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }
}

/**
 * Runs an operation that brings images into the store. Afterwards, whether it succeeded or not, what it brought and no
 * image, sandbox or other operation needs is taken away, and with it what was left by interrupted ones with which nobody
 * went on for a day.
 *
 * @param leaves whether what came so far stays after this failure, for the next try to go on with
 */
export async function bringing<T>(
  home: Home,
  leaves: (error: unknown) => boolean,
  action: (brought: Brought) => Promise<T>,
): Promise<T> {
  const brought = new Brought();
  let stays = false;
  try {
    return await action(brought);
  } catch (error) {
    stays = leaves(error);
    throw error;
  } finally {
    // Its failure changes nothing about the operation, and the next one comes by here too.
    if (!stays) await takeAway(home, brought).catch(() => undefined);
  }
}

async function takeAway(home: Home, brought: Brought): Promise<void> {
  const before = new Date(Date.now() - resumeMs);
  await collectGarbage(
    imageStore(home),
    () => findImageUses(home),
    () => true,
    { partial: true, only: { has: (name) => brought.has(name), before } },
  );
}
