import type { BigIntStats } from "node:fs";
import type { GuestView } from "../fuse/attributes.ts";
import type { Node, Override } from "../tree/node.ts";

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
  /** Open files of a node are open in another place from now on. */
  reopen(node: Node, open: () => number): void;
  /** The host's directory is another one. */
  otherPlace(directory: Node): void;
  /** What the guest knows by this name may be another file now. */
  nameChanged(parent: Node, name: string): void;
}
