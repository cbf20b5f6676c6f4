import { hash } from "node:crypto";
import { stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../host/system-error.ts";
import type { ImageStore } from "./layout.ts";

/** Part of every key: another version of the writer makes other files of the same layers. */
const writerVersion = "erofs-1";

/** Names the root file system that a set of layers makes. */
export function rootFileSystemKey(diffIds: readonly string[]): string {
  return hash("sha256", [writerVersion, ...diffIds].join("\n"));
}

export function rootFileSystemPath(store: ImageStore, diffIds: readonly string[]): string {
  return join(store.rootfs, `${rootFileSystemKey(diffIds)}.erofs`);
}

/**
 * Whether the root file system is there. If so, notes that it was asked for, as its access time: that costs little and
 * survives everything.
 */
export async function useRootFileSystem(path: string): Promise<boolean> {
  let mtime: Date;
  try {
    ({ mtime } = await stat(path));
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
    throw error;
  }
  // Only a date in a list.
  await utimes(path, new Date(), mtime).catch(() => undefined);
  return true;
}
