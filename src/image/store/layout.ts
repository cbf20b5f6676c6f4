import { open, readFile, rename, stat, unlink } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { errorCode, ioError } from "../../host/system-error.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { syncPath, writeFileAtomically } from "../../host/files/atomic-file.ts";
import type { Home } from "../../store/home.ts";
import { digestOf, requireDigest, verifyBytes } from "../digest.ts";

/**
 * `$MSB_HOME/images`: an OCI image layout (image-spec, image-layout.md) that other tools can read, with three directories
 * of our own beside it. What lies under `blobs` has been verified and has reached the disk before it got its name. The disk
 * may damage it later: what is asked to be fresh is verified again. Everything else can be lost at any moment.
 *
 * Reading order of this folder: `layout.ts` (where things lie), `locking.ts`, `index-file.ts` (which images there are),
 * `blobs.ts`, `leases.ts` (what a pull in progress needs), `rootfs.ts`, `images.ts`, `garbage.ts`,
 * `brought.ts` (what goes when an operation has ended), `manage.ts`.
 */
export interface ImageStore {
  readonly root: string;
  readonly indexFile: string;
  readonly indexLock: string;
  readonly blobs: string;
  /** Blobs that are still being received, by digest, with the locks of their receivers. */
  readonly ingest: string;
  /** What unfinished pulls rely on. */
  readonly leases: string;
  /** `<key>.erofs`, one per set of layers. */
  readonly rootfs: string;
}

export function imageStore(home: Home): ImageStore {
  const root = home.images;
  return {
    root,
    indexFile: join(root, "index.json"),
    indexLock: join(root, "index.lock"),
    blobs: join(root, "blobs"),
    ingest: join(root, "ingest"),
    leases: join(root, "leases"),
    rootfs: join(root, "rootfs"),
  };
}

/** Creates what is missing. @throws IoError */
export async function prepareStore(store: ImageStore): Promise<void> {
  try {
    for (const directory of [
      join(store.blobs, "sha256"),
      join(store.blobs, "sha512"),
      store.ingest,
      store.leases,
      store.rootfs,
    ]) {
      await makeDirectory(directory);
    }
    const layoutFile = join(store.root, "oci-layout");
    if (!(await exists(layoutFile)))
      await writeFileAtomically(layoutFile, '{"imageLayoutVersion":"1.0.0"}\n');
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    throw ioError(`prepare the image store ${store.root}`, error);
  }
}

/** @throws ImageError when the digest is none, so that no name from outside gets into a path */
export function blobPath(store: ImageStore, digest: string): string {
  const { algorithm, hex } = requireDigest(digest, "a blob");
  return join(store.blobs, algorithm, hex);
}

/** Whether the blob is there. `size` is compared as well: the only damage that can be seen for free. */
export async function hasBlob(store: ImageStore, digest: string, size: number): Promise<boolean> {
  try {
    return (await stat(blobPath(store, digest))).size === size;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
    throw error;
  }
}

/** A small blob, verified again because that costs nothing. @returns null when it is missing */
export async function readBlob(store: ImageStore, digest: string): Promise<Buffer | null> {
  let bytes: Buffer;
  const path = blobPath(store, digest);
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${path}`, error);
  }
  verifyBytes(bytes, digest, `the stored blob ${digest}`);
  return bytes;
}

/** Stores a small blob. @returns its digest */
export async function writeBlob(
  store: ImageStore,
  bytes: Uint8Array,
  digest = digestOf(bytes),
): Promise<string> {
  verifyBytes(bytes, digest, "a blob");
  // Read rather than looked at: what was damaged on the disk is written anew.
  const stored = await readBlob(store, digest).catch(() => null);
  if (stored !== null) return digest;
  const aside = join(store.ingest, `${randomBytes(8).toString("hex")}.tmp`);
  try {
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await adoptBlob(store, aside, digest);
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw ioError(`write ${blobPath(store, digest)}`, error);
  }
  return digest;
}

/** Gives a file that was verified and fsynced the name of its digest. */
export async function adoptBlob(store: ImageStore, path: string, digest: string): Promise<void> {
  const target = blobPath(store, digest);
  await rename(path, target);
  await syncPath(dirname(target));
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
    throw error;
  }
}
