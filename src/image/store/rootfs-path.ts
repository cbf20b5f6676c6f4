import { hash } from "node:crypto";
import { stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { hasSealedLength } from "../../host/files/sealed-file.ts";
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
 * Whether the root file system is there, with its whole length: what is behind its first block is not read. If so, notes
 * that it was asked for, as its access time: that costs little and survives everything.
 */
export async function useRootFileSystem(path: string): Promise<boolean> {
  if (!(await hasSealedLength(path))) return false;
  try {
    const { mtime } = await stat(path);
    await utimes(path, new Date(), mtime);
  } catch {
    // Only a date in a list.
  }
  return true;
}
