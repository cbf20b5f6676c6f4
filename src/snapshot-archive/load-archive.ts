import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { ImageError, MicrosandboxError } from "../errors/index.ts";
import { randomHex } from "../host/system/entropy.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import { loadImages } from "../image/archive/load.ts";
import { readStoredImage } from "../image/store/images.ts";
import { imageStore } from "../image/store/layout.ts";
import { decompress } from "../image/import/decompress.ts";
import { TarReader } from "../image/tar/reader.ts";
import type { Home } from "../store/home.ts";
import { descriptorName } from "../store/snapshots/descriptor.ts";
import { devicesName, memoryName } from "../store/snapshots/memory-part.ts";
import {
  findSnapshot,
  listSnapshots,
  readSnapshot,
  type FoundSnapshot,
} from "../store/snapshots/snapshots.ts";
import { refuseTaken, stageSnapshot, sweepSnapshots, withStaging } from "../store/snapshots/staging.ts";
import { verifyFile, verifySnapshot, type UpperIntegrity } from "../store/snapshots/verify-snapshot.ts";
import { notOurs, type ArchiveIndex } from "./archive-index.ts";
import { ArchiveReceiver } from "./archive-receiver.ts";

export interface LoadArchiveOptions {
  /** Whether the disks are compared with the digests that the archive or the snapshots have of them. */
  readonly verify: boolean;
}

/**
 * Takes the snapshots of an archive in, with its images.
 *
 * @param path of the archive, plain or compressed with zstd or gzip
 * @param destination the directory where they are put, by their names; null: among those of the home
 * @returns the one that was saved; parents that are there already are left
 * @throws SnapshotIntegrityError when the archive is damaged or none; SnapshotAlreadyExistsError when a name is taken;
 *   UnsupportedOperationError, JsonError for what a snapshot says; ImageError, IoError; the signal's reason. No snapshot is left then,
 *   except for parents that were whole
 */
export async function loadArchive(
  home: Home,
  path: string,
  destination: string | null,
  options: LoadArchiveOptions,
  signal: AbortSignal,
): Promise<FoundSnapshot> {
  const directory = destination ?? home.snapshots;
  let loaded = "";
  await withStaging(join(directory, `load-${randomHex(8)}`), async (staging) => {
    const receiver = new ArchiveReceiver(staging);
    const index = await receive(path, receiver, directory, signal);
    const known = new Set((await listSnapshots(directory)).map(({ digest }) => digest));
    const wanted = index.snapshots
      .map((each, position) => ({ ...each, position }))
      .filter(({ digest, position }) => position === 0 || !known.has(digest));
    for (const { name } of wanted) await refuseTaken(join(directory, name), false);
    for (const { position, integrity, guest } of wanted) {
      const found = await readSnapshot(receiver.snapshot(position));
      if (found === null || !options.verify) continue;
      const check = async (what: string, file: string, recorded: UpperIntegrity | null): Promise<void> => {
        if (recorded !== null) await verifyFile(`the ${what} of ${path}`, file, recorded, signal);
      };
      await check("disk", found.upper, integrity);
      if (found.guest !== null) {
        await check("state of devices", found.guest.devices, guest?.devices ?? null);
        await check("memory", found.guest.memory, guest?.memory ?? null);
      }
      await verifySnapshot(found, signal);
    }
    await takeImages(home, index.images, receiver, signal);
    // Parents first: whoever sees the snapshot sees them too.
    for (const { name, position } of wanted.toReversed()) {
      const descriptor = receiver.descriptors[position]?.descriptor;
      const ofGuest = descriptor?.memory === null ? [] : [memoryName, devicesName];
      await stageSnapshot(join(directory, name), false, async (place) => {
        for (const each of [descriptor?.state.upper.file ?? "", ...ofGuest, descriptorName])
          await rename(join(receiver.snapshot(position), each), join(place, each));
      });
      loaded = join(directory, name);
    }
    // A prune before the snapshots were there may have taken them for images that nobody needs.
    await takeImages(home, await missingImages(home, index), receiver, signal);
  });
  await sweepSnapshots(home.snapshots);
  return await findSnapshot(home, loaded);
}

async function missingImages(home: Home, index: ArchiveIndex): Promise<ArchiveIndex["images"]> {
  const store = imageStore(home);
  const images = await Promise.all(
    index.images.map(async (image) =>
      (await readStoredImage(store, image.manifest_digest)) === null ? [image] : [],
    ),
  );
  return images.flat();
}

/** Puts everything aside. @throws as {@link loadArchive} */
async function receive(
  path: string,
  receiver: ArchiveReceiver,
  directory: string,
  signal: AbortSignal,
): Promise<ArchiveIndex> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw ioError(`open the archive ${path}`, error, "userFile");
  });
  const source = file.createReadStream({ highWaterMark: 1 << 20 });
  try {
    const reader = new TarReader(receiver);
    let isChecked = false;
    for await (const chunk of decompress(source)) {
      signal.throwIfAborted();
      reader.push(chunk);
      await receiver.flush();
      const first = receiver.index?.snapshots[0];
      if (isChecked || first === undefined) continue;
      isChecked = true;
      // Before much is read in vain.
      await refuseTaken(join(directory, first.name), false);
    }
    reader.end();
    await receiver.flush();
    return receiver.end();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ImageError) throw notOurs(error.message, error);
    if (error instanceof MicrosandboxError) throw error;
    if (/^(Z_|ZSTD_|ERR_ZSTD)/.test(errorCode(error) ?? ""))
      throw notOurs("its compressed data is damaged", error);
    throw ioError(`load the archive ${path}`, error);
  } finally {
    source.destroy();
    await receiver.close();
  }
}

/** Only images that a snapshot of the archive lies over, under their digests: no tag gets another meaning. */
async function takeImages(
  home: Home,
  images: ArchiveIndex["images"],
  receiver: ArchiveReceiver,
  signal: AbortSignal,
): Promise<void> {
  for (const { ref: reference, manifest_digest: manifestDigest } of images) {
    const isNeeded = receiver.descriptors.some(
      ({ descriptor: { image } }) => image.ref === reference && image.manifest_digest === manifestDigest,
    );
    if (!isNeeded) throw notOurs(`it has the image ${manifestDigest}, which none of its snapshots needs`);
    const path = receiver.image(manifestDigest);
    await loadImages(home, path, { pinned: { reference, manifestDigest }, signal });
  }
}
