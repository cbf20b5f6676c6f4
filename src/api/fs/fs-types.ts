import { fileKinds } from "../../protocol/generated/messages.ts";

/** What a name in a file system is. */
export const FsEntryKinds = fileKinds;
export type FsEntryKind = (typeof FsEntryKinds)[number];
/** The same by name: `entry.kind === FsEntryKind.Directory`. */
export const FsEntryKind = {
  File: "file",
  Directory: "directory",
  Symlink: "symlink",
  Other: "other",
} as const satisfies Record<string, FsEntryKind>;

/** One name in a directory; what a symbolic link leads to is not looked at. */
export interface FsEntry {
  /** The directory's path and the name. */
  readonly path: string;
  readonly kind: FsEntryKind;
  /** Bytes. */
  readonly size: number;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly modified: Date | null;
}

/** What is known about a path. */
export interface FsMetadata {
  readonly kind: FsEntryKind;
  /** Bytes. */
  readonly size: number;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  /** Its owner may not write it. */
  readonly readonly: boolean;
  readonly modified: Date | null;
  /** null where the file system does not know. */
  readonly created: Date | null;
}
