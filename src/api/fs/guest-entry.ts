import type { FileMetadataMessage, TreeEntry } from "../../protocol/generated/messages.ts";
import type { FsEntry, FsMetadata } from "./fs-types.ts";
import { isTextPath, joinPath, pathText } from "./guest-path.ts";

/** What is known about a path of the guest. */
export interface GuestFsMetadata extends FsMetadata {
  readonly uid: number;
  readonly gid: number;
  /** How many names the file has. */
  readonly links: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
}

/** One name in a directory of the guest; what a symbolic link leads to is not looked at. */
export interface GuestFsEntry extends FsEntry {
  /** The path as it is: in `path`, bytes that are no UTF-8 are U+FFFD. All of fs() take it in the place of the text. */
  readonly pathBytes: Uint8Array;
  /** Whether `path` says all of it. */
  readonly isUtf8: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link, bytes that are no UTF-8 as U+FFFD; null for all others. */
  readonly target: string | null;
}

export function metadataOf({ entry, createdNs, links }: FileMetadataMessage): GuestFsMetadata {
  const { kind, size, mode, uid, gid, mtimeNs } = entry;
  return {
    kind,
    size,
    mode,
    readonly: (mode & 0o200) === 0,
    modified: dateOf(mtimeNs),
    created: createdNs === null ? null : dateOf(createdNs),
    uid,
    gid,
    links,
    modifiedNs: mtimeNs,
  };
}

/** @param directory what was listed */
export function entryOf(directory: Uint8Array, entry: TreeEntry): GuestFsEntry {
  const { kind, size, mode, uid, gid, mtimeNs, target } = entry;
  const pathBytes = joinPath(directory, entry.path);
  return {
    path: pathText(pathBytes),
    pathBytes,
    isUtf8: isTextPath(pathBytes),
    kind,
    size,
    mode,
    modified: dateOf(mtimeNs),
    uid,
    gid,
    target: kind === "symlink" ? pathText(target) : null,
  };
}

/** null for a time that no Date can be. */
function dateOf(ns: bigint): Date | null {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.getTime()) ? null : date;
}
