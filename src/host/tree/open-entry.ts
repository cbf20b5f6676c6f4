import { constants, type BigIntStats } from "node:fs";
import { lstat, open, readlink, stat, type FileHandle } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import { readChunk } from "../files/read-chunk.ts";
import { becameShorter, smallFileBytes } from "./read-content.ts";
import type { TreeEntry, TreeKind } from "./tree.ts";

/** An entry, and what it takes to read on. */
export interface OpenEntry {
  readonly entry: TreeEntry;
  /** It takes less room than its size. */
  readonly sparse: boolean;
  /** Of a small file: all of it. */
  readonly content: Buffer | null;
  /** Of any other file, and of a directory. To be closed by whoever takes the entry. */
  readonly handle: FileHandle | null;
}

/** A pipe that has taken the place of a file must not make anybody wait. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const empty = Buffer.alloc(0);

/**
 * Looks at one entry and opens it, when it is a file or a directory.
 *
 * @param path where it is, for one call
 * @param treePath what it is called in the tree
 * @param kind what it is likely to be, or undefined
 * @throws the system's error
 */
export async function openEntry(
  path: Buffer,
  treePath: Buffer,
  follow: boolean,
  kind?: TreeKind,
): Promise<OpenEntry> {
  if (kind === "symlink" && !follow) return await link(path, treePath);
  // What is neither file nor directory is not opened: a device may do something then.
  if (kind !== "file" && kind !== "directory") {
    const found = await (follow ? stat(path, { bigint: true }) : lstat(path, { bigint: true }));
    if (found.isSymbolicLink()) return await link(path, treePath, found);
    if (!found.isFile() && !found.isDirectory()) return closed(entryOf(treePath, "other", found));
  }
  let handle: FileHandle;
  try {
    handle = await open(path, follow ? readFlags : readFlags | constants.O_NOFOLLOW);
  } catch (error) {
    // It has become a link, or a socket, since it was looked at.
    const code = errorCode(error);
    if (follow || (code !== "ELOOP" && code !== "ENXIO")) throw error;
    return code === "ELOOP"
      ? await link(path, treePath)
      : closed(entryOf(treePath, "other", await lstat(path, { bigint: true })));
  }
  try {
    return await opened(handle, treePath);
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
}

async function opened(handle: FileHandle, treePath: Buffer): Promise<OpenEntry> {
  const found = await handle.stat({ bigint: true });
  if (found.isDirectory()) {
    return { entry: entryOf(treePath, "directory", found), sparse: false, content: null, handle };
  }
  if (!found.isFile()) {
    await handle.close();
    return closed(entryOf(treePath, "other", found));
  }
  const entry = entryOf(treePath, "file", found);
  const sparse = found.blocks * 512n < found.size;
  if (entry.size > smallFileBytes) return { entry, sparse, content: null, handle };
  const content = Buffer.allocUnsafe(entry.size);
  if ((await readChunk(handle, content, 0)) < content.length) throw becameShorter();
  await handle.close();
  return { entry, sparse: false, content, handle: null };
}

async function link(path: Buffer, treePath: Buffer, found?: BigIntStats): Promise<OpenEntry> {
  const target = await readlink(path, { encoding: "buffer" });
  return closed({ ...entryOf(treePath, "symlink", found ?? (await lstat(path, { bigint: true }))), target });
}

function closed(entry: TreeEntry): OpenEntry {
  return { entry, sparse: false, content: null, handle: null };
}

function entryOf(path: Buffer, kind: TreeKind, found: BigIntStats): TreeEntry {
  return {
    path,
    kind,
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    mtimeNs: found.mtimeNs,
    size: kind === "file" ? Number(found.size) : 0,
    target: empty,
  };
}
