/**
 * Snapshots in one file: a tar archive, compressed with zstd unless it is to be plain. It begins with `archive-index.ts`, then come
 * description, disk and memory of each snapshot (sparse, as GNU tar has it), then the images as OCI layouts. Reading order: this file,
 * `load-archive.ts`, `archive-receiver.ts`.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createZstdCompress } from "node:zlib";
import { InvalidConfigError, SnapshotIntegrityError, SnapshotNotFoundError } from "../errors/index.ts";
import { findExtents, type Extent } from "../host/files/extents.ts";
import { sparseDigest, sparseDigestAlgorithm } from "../host/files/sparse-digest.ts";
import { writeUserFile } from "../host/files/user-file.ts";
import { randomHex } from "../host/system/entropy.ts";
import { ioError } from "../host/system-error.ts";
import { savePinnedImage } from "../image/archive/save.ts";
import { sparseTarHeader, tarEnd, tarHeader, tarPadding } from "../image/tar/writer.ts";
import type { Home } from "../store/home.ts";
import { findSnapshot, listSnapshots, type FoundSnapshot } from "../store/snapshots/snapshots.ts";
import { withStaging } from "../store/snapshots/staging.ts";
import { verifySnapshot, type UpperIntegrity } from "../store/snapshots/verify-snapshot.ts";
import {
  descriptorEntry,
  devicesEntry,
  imageEntry,
  indexName,
  maximumSnapshots,
  memoryEntry,
  newIndex,
  upperEntry,
  type ArchiveIndex,
} from "./archive-index.ts";
import { basename, dirname } from "node:path";

export interface SaveArchiveOptions {
  /** The snapshots that it goes back to, too. */
  readonly withParents: boolean;
  /** Of those only what came after this one. */
  readonly since: string | null;
  /** The images, so that it can be used without a registry. */
  readonly withImage: boolean;
  /** Not compressed. */
  readonly plainTar: boolean;
  /** Hashes the disks, so that whoever loads the archive can tell whether they are the same still. */
  readonly embedIntegrity: boolean;
}

/**
 * @param output a path, see `writeUserFile`: a file appears when the archive is complete
 * @throws SnapshotNotFoundError, also for a parent that is not here; InvalidConfigError for a `since` that is none of its parents;
 *   SnapshotIntegrityError for a disk that is not what was recorded;
 *   ImageNotFoundError, ImageError for an image that is not stored whole; IoError; the signal's reason
 */
export async function saveArchive(
  home: Home,
  reference: string,
  output: string,
  options: SaveArchiveOptions,
  signal: AbortSignal,
): Promise<void> {
  const first = await findSnapshot(home, reference);
  const snapshots =
    options.since !== null
      ? await chainSince(home, first, options.since)
      : options.withParents
        ? await withParents(home, first)
        : [first];
  const images = options.withImage ? imagesOf(snapshots) : [];
  const entries: ArchiveIndex["snapshots"] = [];
  for (const snapshot of snapshots) {
    const integrity = options.embedIntegrity ? await computed(snapshot, signal) : nothingComputed;
    entries.push({ name: basename(snapshot.directory), digest: snapshot.digest, ...integrity });
  }
  const write = async (files: readonly string[]): Promise<void> => {
    const index = newIndex({ snapshots: entries, images });
    const archive = (): Readable => {
      const plain = Readable.from(archiveOf(index, snapshots, files, signal), { objectMode: false });
      // Errors of either side come out of what is read from it.
      return options.plainTar ? plain : pipeline(plain, createZstdCompress(), () => undefined);
    };
    await writeUserFile(output, archive, { signal });
  };
  if (images.length === 0) {
    await write([]);
    return;
  }
  // A tar archive says how long a file is before it comes.
  await withStaging(join(home.snapshots, `save-${randomHex(8)}`), async (staging) => {
    const files: string[] = [];
    for (const [position, { ref, manifest_digest: manifestDigest }] of images.entries()) {
      const file = join(staging, String(position));
      await savePinnedImage(home, { reference: ref, manifestDigest }, file, signal);
      files.push(file);
    }
    await write(files);
  });
}

/** What came after `since` up to `first`, the latest first. */
async function chainSince(home: Home, first: FoundSnapshot, since: string): Promise<FoundSnapshot[]> {
  const { digest } = await findSnapshot(home, since);
  const chain = await withParents(home, first, digest);
  if (chain.at(-1)?.descriptor.parent === digest) return chain;
  throw new InvalidConfigError(`the snapshot ${first.directory} does not go back to ${since}`, {
    hint: "since is one of those that it goes back to: `msb snapshot inspect` shows the parent of each.",
  });
}

/** Parents are looked for in the home and beside the snapshot. @param until the digest of one that is left out, with its own parents */
async function withParents(
  home: Home,
  first: FoundSnapshot,
  until: string | null = null,
): Promise<FoundSnapshot[]> {
  const known = new Map<string, FoundSnapshot>();
  for (const directory of [dirname(first.directory), home.snapshots])
    for (const each of await listSnapshots(directory)) known.set(each.digest, each);
  const chain = [first];
  for (let { parent } = first.descriptor; parent !== until && parent !== null;) {
    const found = known.get(parent);
    if (found === undefined || chain.includes(found) || chain.length === maximumSnapshots) {
      throw new SnapshotNotFoundError(`the parent ${parent} of the snapshot ${first.directory} is not here`, {
        hint: "Save it without its parents: it can be used without them.",
      });
    }
    chain.push(found);
    parent = found.descriptor.parent;
  }
  return chain;
}

/** Each once. The embedded image comes with this package. */
function imagesOf(snapshots: readonly FoundSnapshot[]): ArchiveIndex["images"] {
  const images = new Map<string, ArchiveIndex["images"][number]>();
  for (const { image } of snapshots.map(({ descriptor }) => descriptor)) {
    const { ref, manifest_digest: digest } = image;
    if (digest !== null) images.set(digest, { ref, manifest_digest: digest });
  }
  return [...images.values()];
}

type Computed = Pick<ArchiveIndex["snapshots"][number], "integrity" | "guest">;

const nothingComputed: Computed = { integrity: null };

async function computed(snapshot: FoundSnapshot, signal: AbortSignal): Promise<Computed> {
  const { upper, guest, descriptor } = snapshot;
  const { state, memory } = descriptor;
  // What was recorded is compared here, and the rest hashed.
  await verifySnapshot(snapshot, signal);
  const of = async (path: string, recorded: UpperIntegrity | null | undefined): Promise<UpperIntegrity> =>
    recorded ?? { algorithm: sparseDigestAlgorithm, digest: await sparseDigest(path, signal) };
  const integrity = await of(upper, state.upper.integrity);
  if (guest === null) return { integrity };
  const ofMemory = await of(guest.memory, memory?.memory.integrity);
  return {
    integrity,
    guest: { memory: ofMemory, devices: await of(guest.devices, memory?.devices.integrity) },
  };
}

async function* archiveOf(
  index: ArchiveIndex,
  snapshots: readonly FoundSnapshot[],
  images: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  yield* smallFile(indexName, `${JSON.stringify(index, null, 2)}\n`);
  for (const [position, { text, upper, guest, descriptor }] of snapshots.entries()) {
    yield* smallFile(descriptorEntry(position), text);
    const { state, memory } = descriptor;
    yield* sparseFile(upperEntry(position), upper, state.upper.size_bytes, signal);
    if (guest === null || memory === null) continue;
    yield* sparseFile(memoryEntry(position), guest.memory, memory.memory.size_bytes, signal);
    yield* sparseFile(devicesEntry(position), guest.devices, memory.devices.size_bytes, signal);
  }
  for (const [position, path] of images.entries()) {
    const { size } = await stat(path);
    yield fileHeader(imageEntry(position), size);
    yield* read(path, [0, size]);
    yield tarPadding(size);
  }
  yield tarEnd;
}

async function* sparseFile(
  name: string,
  path: string,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  // Extents are of whole blocks; the last one may have less.
  const extents = (await findExtents(path, signal)).map(([offset, length]): Extent => [
    offset,
    Math.min(length, size - offset),
  ]);
  yield sparseTarHeader(name, size, extents);
  let stored = 0;
  for (const [offset, length] of extents) {
    yield* read(path, [offset, length]);
    stored += length;
  }
  yield tarPadding(stored);
}

function* smallFile(name: string, text: string): Generator<Buffer> {
  const bytes = Buffer.from(text);
  yield fileHeader(name, bytes.length);
  yield bytes;
  yield tarPadding(bytes.length);
}

/** No time and no owner: the same snapshot makes the same archive. */
function fileHeader(name: string, size: number): Buffer {
  return tarHeader({ name: Buffer.from(name), type: "file", mode: 0o600, uid: 0, gid: 0, size, mtimeNs: 0n });
}

async function* read(path: string, [offset, length]: Extent): AsyncGenerator<Buffer> {
  if (length === 0) return;
  let left = length;
  const options = { start: offset, end: offset + length - 1, highWaterMark: 1 << 20 };
  try {
    for await (const chunk of createReadStream(path, options) as AsyncIterable<Buffer>) {
      left -= chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw ioError(`read ${path}`, error);
  }
  if (left > 0)
    throw new SnapshotIntegrityError(`${path} became shorter while it was saved`, { hint: "Try again." });
}
