import type { BigIntStats } from "node:fs";
import type { GuestView } from "../fuse/attributes.ts";
import type { Node, Override } from "../tree/node.ts";

/** New descriptors of files that are open. */
export interface Reopening {
  /** Puts them in the place of the old ones. */
  take(): void;
  /** Closes them; nothing else has happened then. */
  drop(): void;
}

/** What the tree needs of whoever serves it. */
export interface OverlayKeeper {
  /** How the guest sees a file. */
  view(node: Node, stat: BigIntStats): GuestView;
  /** The permissions on the host of what the guest makes. */
  hostMode(mode: number, isDirectory: boolean): number;
  /** Keeps owner and mode in an open file. */
  keepOn(fd: number, override: Override): void;
  /** Takes room of the guest's. */
  adding<T>(bytes: number, act: () => T): T;
  /** Opens the open files of a node in another place, where they are from the moment on that `take` of the answer is called. */
  reopen(node: Node, open: () => number): Reopening;
  /** The host's directory is another one. */
  otherPlace(directory: Node): void;
  /** What the guest knows by this name may be another file now. */
  nameChanged(parent: Node, name: string): void;
}
