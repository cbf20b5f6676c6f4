import type { FileMetadataMessage, TreeEntry } from "../../protocol/generated/messages.ts";
import type { FsEntry, FsMetadata } from "./fs-types.ts";
import { isTextPath, joinPath, pathText } from "./guest-path.ts";

/** What is known about a path of the guest. */
export interface GuestFsMetadata extends FsMetadata {
  readonly uid: number;
  readonly gid: number;
  /** How many names the file has. */
  readonly links: number;
  /**
   * Nanoseconds since 1970. Not enumerable, since JSON has no such numbers: what `JSON.stringify` and `{ ...metadata }` make has
   * `modified` alone.
   */
  readonly modifiedNs: bigint;
}

/**
 * One name in a directory of the guest; what a symbolic link leads to is not looked at. Of what the guest's kernel does not let anybody
 * look at there is the path alone: its kind is `other`, its mode and size are 0, its owner is 65534.
 */
export interface GuestFsEntry extends FsEntry {
  /** The path as it is: in `path`, bytes that are no UTF-8 are U+FFFD. All of fs() take it in the place of the text. */
  readonly pathBytes: Buffer;
  /** Whether `path` says all of it. */
  readonly isUtf8: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link, bytes that are no UTF-8 as U+FFFD; null for all others. */
  readonly target: string | null;
}

export function metadataOf({ entry, createdNs, links }: FileMetadataMessage): GuestFsMetadata {
  const { kind, size, mode, uid, gid, mtimeNs } = entry;
  const metadata = {
    kind,
    size,
    mode,
    readonly: (mode & 0o200) === 0,
    modified: dateOf(mtimeNs),
    created: createdNs === null ? null : dateOf(createdNs),
    uid,
    gid,
    links,
  };
  return Object.defineProperty(metadata, "modifiedNs", { value: mtimeNs }) as GuestFsMetadata;
}

/** @param directory what was listed */
export function entryOf(directory: Uint8Array, entry: TreeEntry): GuestFsEntry {
  const { kind, size, mode, uid, gid, mtimeNs, target } = entry;
  return {
    ...pathsOf(directory, entry.path),
    kind,
    size,
    mode,
    modified: dateOf(mtimeNs),
    uid,
    gid,
    target: kind === "symlink" ? pathText(target) : null,
  };
}

/** Linux's own id for those that it cannot tell (`/proc/sys/kernel/overflowuid`). */
const overflowId = 65_534;

/** What is there by its name alone: it could not be looked at. */
export function unknownEntry(directory: Uint8Array, below: Uint8Array): GuestFsEntry {
  const unknown = { size: 0, mode: 0, modified: null, uid: overflowId, gid: overflowId, target: null };
  return { ...pathsOf(directory, below), kind: "other", ...unknown };
}

function pathsOf(
  directory: Uint8Array,
  below: Uint8Array,
): Pick<GuestFsEntry, "path" | "pathBytes" | "isUtf8"> {
  const pathBytes = joinPath(directory, below);
  return { path: pathText(pathBytes), pathBytes, isUtf8: isTextPath(pathBytes) };
}

/** null for a time that no Date can be. */
function dateOf(ns: bigint): Date | null {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.getTime()) ? null : date;
}
