import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  statfsSync,
  unlinkSync,
  type BigIntStats,
} from "node:fs";
import { basename, dirname } from "node:path";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { kindOfFileSystem, type FileSystemKind } from "../../host/files/file-system-kinds.ts";
import { fileTypes, identityOf, isSame, makeNode, typeOf, type Node, type Place } from "./node.ts";
import { NodeTable } from "./node-table.ts";
import type { ServedFiles } from "./served-files.ts";

/** Node has no name for it. The same on all of Linux's architectures of 64 bits. */
const O_PATH = 0o10000000;

/** Directories that are kept open, each for the names in it. */
const mostOpenDirectories = 256;
/** Directories above one another that are looked through for a name whose directory is not open. */
const deepest = 4096;

/**
 * The host's files below one directory, or one file. Everything is done by a name in a directory that is held open, and a name is
 * never followed when it is a link: so whatever becomes of the names above it meanwhile, no call leads out.
 */
export class HostTree implements ServedFiles {
  readonly nodes: NodeTable;
  /** The directory that is served, or the one in which the file is that is. */
  readonly #top: Node;
  readonly #topFd: number;
  readonly #isFile: boolean;
  /** The least recently used one first. */
  readonly #openDirectories = new Set<Node>();
  readonly #kindOfType: (type: number) => FileSystemKind;

  /**
   * @param path of a directory, or of a file; not followed when it is a link
   * @param gone called for each node that is known no more
   * @param kindOfType of a file system, by its type as statfs(2) has it
   * @throws the system's error when it cannot be opened, or is of the other kind; Refusal EACCES when it is the system's own
   */
  constructor(
    path: string,
    isFile: boolean,
    gone: (node: Node) => void = () => undefined,
    kindOfType = kindOfFileSystem,
  ) {
    this.#isFile = isFile;
    this.#kindOfType = kindOfType;
    const flags = O_PATH | constants.O_DIRECTORY | (isFile ? 0 : constants.O_NOFOLLOW);
    this.#topFd = openSync(isFile ? dirname(path) : path, flags);
    try {
      const stat = fstatSync(this.#topFd, { bigint: true });
      if (isFile) {
        this.#top = makeNode(0, 0n, stat);
        const name = Buffer.from(basename(path)).toString("latin1");
        this.nodes = new NodeTable(this.#fileAt(name), gone);
        this.nodes.root.places = [{ parent: this.#top, name }];
      } else {
        this.nodes = new NodeTable(stat, (node) => {
          this.closeDirectory(node);
          gone(node);
        });
        this.#top = this.nodes.root;
      }
      if (this.kindOf(this.nodes.root) === "system") throw new Refusal(errno.acces);
    } catch (error) {
      closeSync(this.#topFd);
      throw error;
    }
  }

  /**
   * How the host names an entry of a directory. Good until the call after the next one.
   *
   * @throws Refusal EACCES where nothing is given to a guest
   */
  pathIn(parent: Node, name: string): Buffer {
    this.#requireFiles(parent);
    return Buffer.from(`/proc/self/fd/${this.directoryFd(parent)}/${name}`, "latin1");
  }

  /** How the host names a file; good as long as {@link pathIn}. @throws Refusal ESTALE when no name of it is known any more */
  pathOf(node: Node): Buffer {
    this.#requireFiles(node);
    if (node === this.#top) return Buffer.from(`/proc/self/fd/${this.#topFd}/.`);
    return this.#located(node).path;
  }

  /** A descriptor of a directory for what is in it, open until the next call. */
  directoryFd(node: Node): number {
    if (node === this.#top) return this.#topFd;
    if (node.identity.type !== fileTypes.directory) throw new Refusal(errno.notdir);
    if (node.fd >= 0) {
      // It moves to the end.
      this.#openDirectories.delete(node);
      this.#openDirectories.add(node);
      return node.fd;
    }
    // From the nearest one above that is open down to this one, not by recursion: a guest makes trees as deep as it likes.
    const closed = [node];
    for (let above = node.places[0]?.parent; above !== undefined; above = above.places[0]?.parent) {
      if (above === this.#top || above.fd >= 0) break;
      closed.push(above);
      if (closed.length > deepest) throw new Refusal(errno.nametoolong);
    }
    closed.reverse();
    closed.forEach((each, index) => {
      each.fd = this.#openNode(each, constants.O_DIRECTORY);
      // At once: opening the next one may fail.
      this.#openDirectories.add(each);
      // Of a long way only the end is kept open, so that two calls never close what the first of them has found.
      const above = closed[index - 1];
      if (above !== undefined && closed.length - index >= mostOpenDirectories / 4) this.closeDirectory(above);
    });
    for (const oldest of this.#openDirectories) {
      if (this.#openDirectories.size <= mostOpenDirectories) break;
      this.closeDirectory(oldest);
    }
    return node.fd;
  }

  /** What the host says of a file, whatever it is called by now. */
  stat(node: Node): BigIntStats {
    if (node === this.#top) return fstatSync(this.#topFd, { bigint: true });
    if (node.fd >= 0) return fstatSync(node.fd, { bigint: true });
    if (this.#isServedFile(node)) {
      try {
        // What has its name now, and not what is open.
        return this.#located(node).stat;
      } catch {
        // It has none any more.
      }
    }
    for (const fd of node.open.values()) return fstatSync(fd, { bigint: true });
    return this.#located(node).stat;
  }

  /** On what kind of file system a file is. It is asked where one begins: numbers of devices are used again, and say nothing. */
  kindOf(node: Node): FileSystemKind {
    const way: Node[] = [];
    let kind: FileSystemKind | null = null;
    for (let each = node; kind === null;) {
      way.push(each);
      const above = each.places[0]?.parent;
      if (each.kind !== null) kind = each.kind;
      else if (above?.identity.dev === each.identity.dev) each = above;
      else kind = this.#kindOfType(this.#typeOfFileSystem(each));
    }
    for (const each of way) each.kind = kind;
    return kind;
  }

  /** The names in a directory as the host has them now, one character for each byte. */
  names(directory: Node): string[] {
    // What the system says of itself is an empty directory for the guest.
    if (this.kindOf(directory) === "system") return [];
    return readdirSync(`/proc/self/fd/${this.directoryFd(directory)}`, { encoding: "latin1" });
  }

  /** What the host says of an entry; undefined when there is none. */
  statEntry(parent: Node, name: string): BigIntStats | undefined {
    if (this.kindOf(parent) === "system") return undefined;
    return lstatSync(this.pathIn(parent, name), { bigint: true, throwIfNoEntry: false });
  }

  /** Opens this very file and no other, which must be a regular file or a directory: opening anything else might do something. */
  open(node: Node, flags: number): number {
    this.#requireFiles(node);
    const { type } = node.identity;
    if (type !== fileTypes.regular && type !== fileTypes.directory) throw new Refusal(errno.acces);
    if (!this.#isServedFile(node)) {
      for (const fd of node.open.values()) return openSync(`/proc/self/fd/${fd}`, flags);
    }
    if (node === this.#top) return openSync(`/proc/self/fd/${this.#topFd}`, flags);
    const fd = this.#openNode(node, 0);
    try {
      return openSync(`/proc/self/fd/${fd}`, flags);
    } finally {
      closeSync(fd);
    }
  }

  tell(place: Place, stat: BigIntStats): Node {
    return this.nodes.tell(place, stat);
  }

  opened(): void {
    // Nobody asks.
  }

  changedOnHost(): void {
    // What is told of the directory says so.
  }

  isGuests(): boolean {
    return true;
  }

  writable(): void {
    // It is.
  }

  requireFree(): void {
    // The call that makes something there finds out.
  }

  remove(parent: Node, name: string, isDirectory: boolean): void {
    const path = this.pathIn(parent, name);
    if (isDirectory) rmdirSync(path);
    else unlinkSync(path);
  }

  beforeMove(): () => void {
    return () => undefined;
  }

  closeDirectory(node: Node): void {
    this.#openDirectories.delete(node);
    if (node.fd < 0) return;
    closeSync(node.fd);
    node.fd = -1;
  }

  close(): void {
    for (const node of [...this.#openDirectories]) this.closeDirectory(node);
    closeSync(this.#topFd);
  }

  /** An O_PATH descriptor, which the caller closes. @throws Refusal ESTALE */
  #openNode(node: Node, flags: number): number {
    for (const { parent, name } of [...node.places]) {
      let fd = -1;
      try {
        fd = openSync(this.pathIn(parent, name), O_PATH | constants.O_NOFOLLOW | flags);
        if (this.#isStill(node, fstatSync(fd, { bigint: true }))) return fd;
      } catch {
        // Another of its names may still be there.
      }
      if (fd >= 0) closeSync(fd);
    }
    throw new Refusal(errno.stale);
  }

  #typeOfFileSystem(node: Node): number {
    if (node === this.#top) return statfsSync(`/proc/self/fd/${this.#topFd}`).type;
    // Not by its name, which may be a link's.
    const fd = this.#openNode(node, 0);
    try {
      return statfsSync(`/proc/self/fd/${fd}`).type;
    } finally {
      closeSync(fd);
    }
  }

  #requireFiles(node: Node): void {
    if (this.kindOf(node) === "system") throw new Refusal(errno.acces);
  }

  #located(node: Node): { readonly path: Buffer; readonly stat: BigIntStats } {
    for (const { parent, name } of [...node.places]) {
      let path: Buffer;
      try {
        path = this.pathIn(parent, name);
      } catch {
        continue;
      }
      const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (stat !== undefined && this.#isStill(node, stat)) return { path, stat };
    }
    throw new Refusal(errno.stale);
  }

  /** A file that is served by itself is whatever file has its name: editors put a new one in its place. */
  #isStill(node: Node, stat: BigIntStats): boolean {
    if (isSame(node, stat)) return true;
    if (!this.#isServedFile(node) || typeOf(stat) !== fileTypes.regular) return false;
    node.identity = identityOf(stat);
    node.kind = null;
    node.overrideAtNs = -1n;
    return true;
  }

  #isServedFile(node: Node): boolean {
    return this.#isFile && node === this.nodes.root;
  }

  #fileAt(name: string): BigIntStats {
    const path = Buffer.from(`/proc/self/fd/${this.#topFd}/${name}`, "latin1");
    const stat = lstatSync(path, { bigint: true });
    if (typeOf(stat) !== fileTypes.regular) throw new Refusal(errno.inval);
    return stat;
  }
}
