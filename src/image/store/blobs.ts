import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { errorCode } from "../../host/system-error.ts";
import { hashFor, requireDigest } from "../digest.ts";
import type { Descriptor } from "../manifest.ts";
import { adoptBlob, blobPath, hasBlob, type ImageStore } from "./layout.ts";
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
 * Removes stored layers that the disk has damaged, so that they are brought again instead of being taken for what they are
 * called.
 *
 * @returns the digests of those that were damaged
 * @throws the signal's reason
 */
export async function dropDamaged(
  store: ImageStore,
  layers: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const damaged: string[] = [];
  for (const [digest, size] of new Map(layers.map((layer) => [layer.digest, layer.size]))) {
    const path = blobPath(store, digest);
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (!isThere) continue;
    if ((await hasBlob(store, digest, size)) && (await hasDigest(path, digest, signal))) continue;
    await rm(path, { force: true, recursive: true });
    damaged.push(digest);
  }
  return damaged;
}

async function hasDigest(path: string, digest: string, signal: AbortSignal | undefined): Promise<boolean> {
  const expected = requireDigest(digest, "a layer");
  const hash = hashFor(expected);
  try {
    const content = createReadStream(path, { highWaterMark: 1 << 20 });
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
  } catch (error) {
    signal?.throwIfAborted();
    // What the disk cannot read, or what somebody else removed meanwhile.
    if (errorCode(error) === undefined) throw error;
    return false;
  }
  return hash.digest("hex") === expected.hex;
}
