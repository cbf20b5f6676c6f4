import type { FileMetadataMessage, TreeEntry } from "../../protocol/generated/messages.ts";
import { isTextPath, joinPath, pathText } from "./guest-path.ts";

/** What can be in a directory. `other`: a device, a pipe, a socket. */
export const FsEntryKinds = ["file", "directory", "symlink", "other"] as const;
export type FsEntryKind = (typeof FsEntryKinds)[number];

/** What is known of a file. */
export interface FsMetadata {
  readonly kind: FsEntryKind;
  /** Bytes of a file, holes included; 0 for all others. */
  readonly size: number;
  /** The twelve bits of chmod(2): 0o755. */
  readonly mode: number;
  /** The owner may not write it. */
  readonly readonly: boolean;
  readonly modified: Date | null;
  /** null where the file system does not know it. */
  readonly created: Date | null;
  readonly uid: number;
  readonly gid: number;
  /** Of one file: how many names it has. */
  readonly links: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
}

/** One entry of a directory, as it is: a symbolic link is not followed. */
export interface FsEntry {
  /** The directory that was asked for, joined with the entry's name. Bytes that are no UTF-8 are U+FFFD here. */
  readonly path: string;
  /** The path as it is. All of fs() take it in the place of the text. */
  readonly pathBytes: Uint8Array;
  /** Whether `path` says all of it: the name is UTF-8. */
  readonly isUtf8: boolean;
  readonly kind: FsEntryKind;
  readonly size: number;
  readonly mode: number;
  readonly modified: Date | null;
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link, bytes that are no UTF-8 as U+FFFD; null for all others. */
  readonly target: string | null;
}

export function metadataOf({ entry, createdNs, links }: FileMetadataMessage): FsMetadata {
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
export function entryOf(directory: Uint8Array, entry: TreeEntry): FsEntry {
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
