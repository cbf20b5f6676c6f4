/** What an entry of a tree is. `other` is a device, a pipe or a socket: told of, never made. */
export type TreeKind = "file" | "directory" | "symlink" | "other";

/** One entry of a tree of files that is on its way from one place to another. */
export interface TreeEntry {
  /**
   * Below the tree's root, as the file system has it: any bytes but NUL, parts divided by `/`, none of them empty, `.` or `..`.
   * Empty for the root itself, which may be of any kind.
   */
  readonly path: Uint8Array;
  readonly kind: TreeKind;
  /** The twelve bits of chmod(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of a file, in bytes, holes included; 0 for all others. */
  readonly size: number;
  /** Of a symbolic link, as it is; empty for all others. */
  readonly target: Uint8Array;
}

/**
 * A tree as a sequence: depth first, so a directory comes before what is in it and everything in it before its next sibling.
 * The content of a file follows its entry, as data and holes that add up to its size; a hole is bytes of zero that take no room.
 */
export type TreeEvent =
  | { readonly type: "entry"; readonly entry: TreeEntry }
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "hole"; readonly length: number };

/** A part of a file's content. */
export type TreeContent = Exclude<TreeEvent, { type: "entry" }>;

/** A file that could not be read to its end, before there is all of its content: what came of it is not to be kept. */
export interface VoidFile {
  readonly type: "void";
}

/** A path of a tree as text to show to people; bytes that are no UTF-8 become U+FFFD. */
export function shownPath(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString("utf8");
}
