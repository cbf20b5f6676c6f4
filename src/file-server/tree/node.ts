import type { BigIntStats } from "node:fs";
import type { Override } from "../../overlay/guest-attributes.ts";
import type { FileSystemKind } from "../../host/files/file-system-kinds.ts";

export type { Override };

/** Where a file's name is. */
export interface Place {
  readonly parent: Node;
  /** One character for each byte. */
  readonly name: string;
}

/** What tells a file from all others, at any time. */
export interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
  /** When it was made: numbers of files are used again. */
  readonly birthNs: bigint;
  /** `S_IFMT` of the host's file. */
  readonly type: number;
}

/** A file or directory that the guest's kernel knows by number. */
export interface Node {
  readonly id: number;
  key: bigint | string;
  identity: Identity;
  /** The inode number that the guest was told first, where the file has another one by now; null: its own. */
  shownIno: bigint | null;
  /** Its names, the last one that was seen first; none of the root. */
  places: Place[];
  /** How often the kernel was told the number and has not forgotten it. */
  lookups: number;
  /** Nodes that have a place in this one. */
  children: number;
  /** An O_PATH descriptor of a directory; -1 when there is none at the moment. */
  fd: number;
  /** Descriptors of it that are open for the guest, by the number of the handle. */
  open: Map<number, number>;
  /** Of the file system that it is on; null: it was not asked yet. */
  kind: FileSystemKind | null;
  /** What the guest has made of owner and mode; null: nothing. */
  override: Override | null;
  /** ctime of the file when the override was read; -1n when it never was. */
  overrideAtNs: bigint;
  /** Of a directory that is watched: which node the kernel has for each name, 0 for none. */
  told: Map<string, number> | null;
  /** mtime and ctime that the kernel was told last. */
  toldMtimeNs: bigint;
  toldCtimeNs: bigint;
  /** mtime when the guest had written to it last, and closed it. */
  leftMtimeNs: bigint;
}

export const fileTypes = {
  mask: 0o170000,
  directory: 0o040000,
  regular: 0o100000,
  symbolicLink: 0o120000,
} as const;

export function typeOf(stat: BigIntStats): number {
  return Number(stat.mode) & fileTypes.mask;
}

export function identityOf(stat: BigIntStats): Identity {
  return { dev: stat.dev, ino: stat.ino, birthNs: stat.birthtimeNs, type: typeOf(stat) };
}

/** The same file, and not another one that has got its number. */
export function isSame({ identity }: Node, stat: BigIntStats): boolean {
  return (
    identity.ino === stat.ino &&
    identity.dev === stat.dev &&
    identity.birthNs === stat.birthtimeNs &&
    identity.type === typeOf(stat)
  );
}

/** Of most nodes nothing is open: a map of its own would be a third of what each takes. */
const nothingOpen = new Map<number, number>();

/** A handle of a node has a descriptor from now on; null: it has none any more. */
export function setOpen(node: Node, handle: number, fd: number | null): void {
  const open = node.open === nothingOpen ? new Map<number, number>() : node.open;
  if (fd === null) open.delete(handle);
  else open.set(handle, fd);
  node.open = open.size === 0 ? nothingOpen : open;
}

export function makeNode(id: number, key: bigint | string, stat: BigIntStats): Node {
  return {
    id,
    key,
    identity: identityOf(stat),
    shownIno: null,
    places: [],
    lookups: 0,
    children: 0,
    fd: -1,
    open: nothingOpen,
    kind: null,
    override: null,
    overrideAtNs: -1n,
    told: null,
    toldMtimeNs: -1n,
    toldCtimeNs: -1n,
    leftMtimeNs: -1n,
  };
}
