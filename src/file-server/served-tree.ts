import type { BigIntStats } from "node:fs";
import { writeAttributes, writeValidity } from "./fuse/attributes.ts";
import { errno, sizes } from "./fuse/numbers.ts";
import { invalidEntry, invalidNode } from "./fuse/notifications.ts";
import { Refusal } from "./fuse/refusal.ts";
import { answer, bodyAt, writeU64 } from "./fuse/reply.ts";
import type { Request } from "./fuse/request.ts";
import { Handles } from "./handles.ts";
import { HostChanges } from "./host-changes.ts";
import type { ServedPath } from "./options.ts";
import { Owners } from "./ownership/owners.ts";
import { Quota } from "./quota.ts";
import { layerAt } from "../overlay/layer-paths.ts";
import { OverlayTree } from "./overlay/overlay-tree.ts";
import { EventQueue } from "./tree/event-queue.ts";
import { HostTree } from "./tree/host-tree.ts";
import { fileTypes, type Node } from "./tree/node.ts";
import type { NodeTable } from "./tree/node-table.ts";
import type { Place } from "./tree/node.ts";
import type { ServedFiles } from "./tree/served-files.ts";
import { ToldNames } from "./tree/told-names.ts";
import { Watches } from "./tree/watches.ts";
import { usedBytes } from "./used-bytes.ts";

/**
 * How long the guest may believe what it was told, ms: where changes on the host are noticed, and where they are not. Noticed is all but
 * what another program writes through memory that it has mapped, so the first is not for ever.
 */
const watchedMs = 600_000;
const unwatchedMs = 1000;

/** One directory or file of the host's that is served, and all that its operations have in common. */
export class ServedTree {
  /** The mount's number, before each of its messages. */
  readonly mount: number;
  readonly readOnly: boolean;
  readonly tree: ServedFiles;
  readonly nodes: NodeTable;
  readonly owners: Owners;
  readonly handles: Handles;
  readonly quota: Quota;
  readonly #names = new ToldNames();
  readonly #watches: Watches;
  readonly #changes: HostChanges;
  readonly #notify: (message: Buffer) => boolean;
  readonly #unlisten: () => void;

  /**
   * @param mostHandles how many files and directories the guest may have open
   * @param notify sends what nobody asked for. @returns false when the guest takes no more
   * @param events what all of this thread's trees hear of the host
   * @param shared what another mount of the same volume counts
   * @throws the system's error when the path cannot be opened
   */
  constructor(
    mount: number,
    options: ServedPath,
    mostHandles: number,
    notify: (message: Buffer) => boolean,
    events = new EventQueue(),
    shared?: Quota,
  ) {
    this.mount = mount;
    this.readOnly = options.readOnly;
    this.#notify = notify;
    const gone = (node: Node): void => {
      this.#names.forget(node);
      this.#watches.drop(node);
    };
    this.handles = new Handles(mostHandles);
    const { path, layer, quotaBytes, quotaCountsAll } = options;
    if (layer === null) {
      this.tree = new HostTree(path, options.isFile, gone);
      this.owners = new Owners(this.tree, options);
    } else {
      const tree = new OverlayTree(path, layerAt(layer), gone, {
        view: (node, stat) => this.owners.view(node, stat),
        hostMode: (mode, isDirectory) => this.owners.hostMode(mode, isDirectory),
        keepOn: (fd, override) => this.owners.keepOn(fd, override),
        adding: (bytes, act) => this.quota.adding(bytes, act),
        reopen: (node, open) => this.handles.reopen(node, open),
        otherPlace: (node) => this.#forgetTold(node),
        nameChanged: (parent, name) => this.#changes.changed(parent, name),
      });
      this.tree = tree;
      this.owners = new Owners(tree, options);
    }
    this.nodes = this.tree.nodes;
    try {
      if (this.tree instanceof OverlayTree) this.tree.begin();
      const counted = layer === null ? path : layerAt(layer).files;
      const isCounted = quotaBytes !== null && (quotaCountsAll || layer !== null) && shared === undefined;
      this.quota = shared ?? new Quota(quotaBytes, isCounted ? usedBytes(counted) : 0);
    } catch (error) {
      this.tree.close();
      throw error;
    }
    this.#watches = new Watches(this.tree, this.#names, {
      changed: (directory, name) => {
        events.took();
        this.#changes.changed(directory, name);
      },
      failed: (directory) => this.#forgetTold(directory),
    });
    this.#changes = new HostChanges({
      mount,
      tree: this.tree,
      names: this.#names,
      watched: () => this.#watches.directories(),
      notify,
    });
    this.#unlisten = events.listen(() => this.#changes.checkAll());
  }

  /** @throws Refusal EROFS */
  requireWritable(): void {
    if (this.readOnly) throw new Refusal(errno.rofs);
  }

  /** @throws Refusal ESTALE, ENOTDIR */
  directory(id: number): Node {
    const node = this.nodes.get(id);
    if (node.identity.type !== fileTypes.directory) throw new Refusal(errno.notdir);
    return node;
  }

  done(request: Request): Buffer {
    return answer(this.mount, request.unique, 0);
  }

  bytes(request: Request, bytes: Uint8Array): Buffer {
    const reply = answer(this.mount, request.unique, bytes.length);
    reply.set(bytes, bodyAt);
    return reply;
  }

  /**
   * Looks at an entry of which the kernel is to be told. It is watched before: what happens after the look is heard of.
   *
   * @returns undefined where there is none
   */
  statToTell(parent: Node, name: string): BigIntStats | undefined {
    this.#watches.watch(parent);
    return this.tree.statEntry(parent, name);
  }

  /** Tells the kernel of a file that was found at a place, unless `say` fails: then it does not hear of it. @throws Refusal ENFILE */
  tell<T>(place: Place, stat: BigIntStats, say: (node: Node) => T): T {
    const node = this.tree.tell(place, stat);
    try {
      return say(node);
    } catch (error) {
      this.nodes.forget(node.id, 1);
      throw error;
    }
  }

  /** An answer that tells of an entry, with room for more after that. */
  entry(request: Request, node: Node, parent: Node, name: string, stat: BigIntStats, more = 0): Buffer {
    const reply = answer(this.mount, request.unique, sizes.entryOut + more);
    this.writeEntry(reply, bodyAt, node, parent, name, stat);
    return reply;
  }

  /** An answer that there is no such entry. */
  noEntry(request: Request, parent: Node, name: string): Buffer {
    const reply = answer(this.mount, request.unique, sizes.entryOut).fill(0, bodyAt);
    writeValidity(reply, bodyAt + 16, bodyAt + 32, this.#tellEntry(parent, name, 0));
    return reply;
  }

  /** Writes a `fuse_entry_out`. */
  writeEntry(target: Buffer, at: number, node: Node, parent: Node, name: string, stat: BigIntStats): void {
    const ms = this.#tellEntry(parent, name, node.id);
    writeU64(target, node.id, at);
    writeU64(target, 0, at + 8);
    writeValidity(target, at + 16, at + 32, ms);
    // What happens to a file under another of its names is heard of only where that is watched.
    writeValidity(target, at + 24, at + 36, stat.nlink > 1n && !stat.isDirectory() ? unwatchedMs : ms);
    this.#writeAttributes(target, at + 40, node, stat);
  }

  /** The answer to GETATTR and SETATTR. */
  attributes(request: Request, node: Node, stat: BigIntStats): Buffer {
    const reply = answer(this.mount, request.unique, sizes.attrOut).fill(0, bodyAt, bodyAt + 16);
    writeValidity(reply, bodyAt, bodyAt + 8, this.#attributesMs(node, stat));
    this.#writeAttributes(reply, bodyAt + 16, node, stat);
    return reply;
  }

  /** The inode number that the guest knows a file by. */
  inoOf(stat: BigIntStats): bigint {
    return this.nodes.known(stat)?.shownIno ?? stat.ino;
  }

  /** A name has gone, by the guest's own doing. */
  forgetName(parent: Node, name: string): void {
    this.#names.remove(parent, name);
  }

  /** Whether changes in a directory are noticed, so that its listing may be kept. */
  watch(directory: Node): boolean {
    return this.#watches.watch(directory);
  }

  /** The guest has lost what it was told without having asked. */
  newsLost(): void {
    this.#changes.checkAll();
  }

  /** The guest takes messages again. */
  drained(): void {
    this.#changes.tellUntold();
  }

  /**
   * A file is opened. Whether what the guest has of it in memory is what it was told of, or its own: a program that has it mapped changes it without
   * that being noticed.
   */
  isAsTold(node: Node, stat: BigIntStats): boolean {
    if (stat.mtimeNs === node.toldMtimeNs || stat.mtimeNs === node.leftMtimeNs) return true;
    this.#notify(invalidNode(this.mount, node.id, false));
    return false;
  }

  close(): void {
    this.#unlisten();
    this.#changes.close();
    this.#watches.close();
    this.handles.closeAll();
    this.tree.close();
  }

  #writeAttributes(target: Buffer, at: number, node: Node, stat: BigIntStats): void {
    node.toldMtimeNs = stat.mtimeNs;
    node.toldCtimeNs = stat.ctimeNs;
    const view = this.owners.view(node, stat);
    writeAttributes(target, at, stat, node.shownIno === null ? view : { ...view, ino: node.shownIno });
  }

  /** Remembers what the kernel is told of a name. @returns for how many ms that is good */
  #tellEntry(parent: Node, name: string, id: number): number {
    return this.#watches.watch(parent) && this.#names.add(parent, name, id) ? watchedMs : unwatchedMs;
  }

  #attributesMs(node: Node, stat: BigIntStats): number {
    if (stat.isDirectory()) return node.told === null ? unwatchedMs : watchedMs;
    const [place] = node.places;
    const isHeard = stat.nlink === 1n && place?.parent.told?.get(place.name) === node.id;
    return isHeard ? watchedMs : unwatchedMs;
  }

  /** What the guest was told of the names of a directory is over: the host's is another one, or is not watched any more. */
  #forgetTold(directory: Node): void {
    for (const name of directory.told?.keys() ?? [])
      this.#notify(invalidEntry(this.mount, directory.id, name));
    this.#watches.drop(directory);
  }
}
