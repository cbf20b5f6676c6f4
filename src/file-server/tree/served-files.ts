import type { BigIntStats } from "node:fs";
import type { FileSystemKind } from "../../host/files/file-system-kinds.ts";
import type { NodeTable } from "./node-table.ts";
import type { Node, Place } from "./node.ts";

/**
 * Files that a guest is given: a directory of the host's as it is (`HostTree`), or with what the guest writes in a layer of its own over
 * it (`OverlayTree`). Names are one character for each byte. Whatever cannot be done is thrown, as a Refusal or the system's error.
 */
export interface ServedFiles {
  readonly nodes: NodeTable;

  /** The node of a file that was found at a place: see {@link NodeTable.tell}. */
  tell(place: Place, stat: BigIntStats): Node;
  /** What the guest finds there; undefined when there is nothing. */
  statEntry(parent: Node, name: string): BigIntStats | undefined;
  stat(node: Node): BigIntStats;
  names(directory: Node): string[];
  /** Opens this very file and no other: a regular file or a directory. To write to it, {@link writable} comes first. */
  open(node: Node, flags: number): number;
  /** How the host names a file, for one call. */
  pathOf(node: Node): Buffer;
  /** How the host names an entry that is to be made, moved or removed. Good until the call after the next one. */
  pathIn(parent: Node, name: string): Buffer;
  /** A descriptor of the host's directory, for watching what the host does there. Open until the next call. */
  directoryFd(node: Node): number;
  kindOf(node: Node): FileSystemKind;
  close(): void;

  /** The guest has opened a file to read it. */
  opened(node: Node, fd: number): void;
  /** The host has changed something in a directory. */
  changedOnHost(directory: Node): void;
  /** Whether what is at a place takes room that is the guest's. */
  isGuests(parent: Node, name: string): boolean;
  /** Before a file is changed. @param empties all that is in it is going to be removed */
  writable(node: Node, empties: boolean): void;
  /** Before something new is made at a place. */
  requireFree(parent: Node, name: string): void;
  /** Removes an entry, a directory with rmdir(2) and anything else with unlink(2). */
  remove(parent: Node, name: string, isDirectory: boolean): void;
  /** Before an entry moves. @param flags those of rename(2). @returns what is to be done when it has moved */
  beforeMove(from: Place, to: Place, flags: number): () => void;
}
