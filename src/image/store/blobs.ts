import { stat } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { errorCode } from "../../host/system-error.ts";
import { requireDigest } from "../digest.ts";
import { adoptBlob, hasBlob, type ImageStore } from "./layout.ts";
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
