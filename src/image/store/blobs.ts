import { open, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { errorCode, ioError, isMediumError } from "../../host/system-error.ts";
import { hashFor, requireDigest } from "../digest.ts";
import type { Descriptor } from "../manifest.ts";
import { adoptBlob, blobPath, exists, hasBlob, type ImageStore } from "./layout.ts";
import { withStoreLock } from "./locking.ts";

export interface BlobSource {
  readonly digest: string;
  readonly size: number;
  /**
   * Fills the file at `partialPath`, which may hold the beginning of the blob already. When it returns, the file is the
   * blob, verified and on the disk.
   */
  receive(partialPath: string): Promise<void>;
}

/**
 * Makes sure that a blob is in the store. Of several processes, or pulls in one, that want the same blob, one receives it
 * and the others wait for it.
 *
 * @returns whether it had to be received by this call
 */
export async function ensureBlob(
  store: ImageStore,
  source: BlobSource,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (await hasBlob(store, source.digest, source.size)) return false;
  await makeDirectory(store.ingest);
  const partial = partialPath(store, source.digest);
  const receive = async (): Promise<boolean> => {
    if (await hasBlob(store, source.digest, source.size)) return false;
    await source.receive(partial);
    await adoptBlob(store, partial, source.digest);
    return true;
  };
  return withStoreLock(`${partial}.lock`, signal, receive, true);
}

export function partialPath(store: ImageStore, digest: string): string {
  const { algorithm, hex } = requireDigest(digest, "a blob");
  return join(store.ingest, `${algorithm}-${hex}`);
}

/** How much of a blob an interrupted pull has left. */
export async function partialSize(store: ImageStore, digest: string): Promise<number> {
  try {
    return (await stat(partialPath(store, digest))).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}

/**
 * Removes stored blobs that the disk has damaged, so that they are brought again instead of being taken for what they are
 * called. Only the content counts: what somebody says their length is may be wrong.
 *
 * @returns the digests of those that were damaged
 * @throws IoError when one cannot be read for another reason: it stays; the signal's reason
 */
export async function dropDamaged(
  store: ImageStore,
  blobs: readonly Pick<Descriptor, "digest">[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const damaged: string[] = [];
  for (const digest of new Set(blobs.map((blob) => blob.digest))) {
    const path = blobPath(store, digest);
    try {
      if (!(await exists(path))) continue;
      await makeDirectory(store.ingest);
      // Under the lock of who receives it: otherwise what is removed could be what another one has just brought.
      const drop = (): Promise<boolean> => dropIfDamaged(path, digest, signal);
      if (await withStoreLock(`${partialPath(store, digest)}.lock`, signal, drop, true)) damaged.push(digest);
    } catch (error) {
      signal?.throwIfAborted();
      throw ioError(`verify ${path}`, error);
    }
  }
  return damaged;
}

async function dropIfDamaged(
  path: string,
  digest: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await using file = await open(path, "r");
    if (await hasDigest(file, digest, signal)) return false;
    const [read, now] = [await file.stat({ bigint: true }), await stat(path, { bigint: true })];
    // Small blobs are replaced without the lock.
    if (read.dev !== now.dev || read.ino !== now.ino) return false;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    if (!isMediumError(error)) throw error;
  }
  await rm(path, { force: true, recursive: true });
  return true;
}

async function hasDigest(
  file: FileHandle,
  digest: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!(await file.stat()).isFile()) return false;
  const expected = requireDigest(digest, "a blob");
  const hash = hashFor(expected);
  try {
    const content = file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 });
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (isMediumError(error)) return false;
    throw error;
  }
  return hash.digest("hex") === expected.hex;
}
