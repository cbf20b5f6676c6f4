import { constants, fstatSync, mkdirSync, openSync, renameSync, utimesSync, type BigIntStats } from "node:fs";
import { baseOf, unknownBase, type Base } from "../../overlay/base.ts";
import type { LayerPaths } from "../../overlay/layer-paths.ts";
import { below } from "../../overlay/layer-records.ts";
import { errno, renameFlags } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { fileBytes } from "../quota.ts";
import type { FileSystemKind } from "../../host/files/file-system-kinds.ts";
import { HostTree } from "../tree/host-tree.ts";
import { NodeTable } from "../tree/node-table.ts";
import { fileTypes, isSame, type Node, type Place } from "../tree/node.ts";
import type { ServedFiles } from "../tree/served-files.ts";
import { JournalWriter } from "./journal-writer.ts";
import { LayerWork } from "./layer-work.ts";
import type { OverlayKeeper } from "./overlay-keeper.ts";
import { OverlaySides } from "./overlay-sides.ts";
import { ReadVersions } from "./read-versions.ts";

/** Of a file that the host has changed so short a time ago, a further change may leave no trace in its times. */
const settledNs = 20_000_000n;

/**
 * A directory of the host's that is only read, and over it what the guest writes: its layer. A file that the guest changes is copied
 * there first; what it deletes is noted in the layer's journal, with what the host had. The guest never sees that there are two.
 *
 * Directories that the host has are not renamed (EXDEV, as with overlayfs): programs copy them then. The other names of a file of
 * the host's with several stay the host's when one of them is changed.
 */
export class OverlayTree implements ServedFiles {
  readonly nodes: NodeTable;
  readonly #lower: HostTree;
  readonly #upper: HostTree;
  readonly #files: string;
  readonly #work: LayerWork;
  readonly #journal: JournalWriter;
  readonly #keeper: OverlayKeeper;
  readonly #sides: OverlaySides;
  readonly #read = new ReadVersions();

  /**
   * @param path of a directory of the host's; not followed when it is a link
   * @param layer whose directory is there
   * @param gone called for each node that is known no more
   * @throws the system's error when one of them cannot be opened
   */
  constructor(path: string, layer: LayerPaths, gone: (node: Node) => void, keeper: OverlayKeeper) {
    this.#files = layer.files;
    this.#keeper = keeper;
    this.#lower = new HostTree(path, false);
    const opened: { close(): void }[] = [this.#lower];
    try {
      this.#work = new LayerWork(layer, this.#lower, keeper);
      this.#journal = new JournalWriter(layer.journal);
      opened.push(this.#journal);
      mkdirSync(layer.files, { recursive: true, mode: 0o700 });
      this.#upper = new HostTree(layer.files, false);
      opened.push(this.#upper);
      this.nodes = new NodeTable(this.#upper.stat(this.#upper.nodes.root), (node) => {
        this.#sides.forget(node);
        gone(node);
      });
      const trees = { upper: this.#upper, lower: this.#lower };
      this.#sides = new OverlaySides(trees, this.nodes.root, this.#journal.records, (directory) =>
        keeper.otherPlace(directory),
      );
    } catch (error) {
      for (const each of opened) each.close();
      throw error;
    }
  }

  /** To be called once, before all others, when the keeper is able to keep: gives a new layer the mode and owner of the directory. */
  begin(): void {
    const { root } = this.nodes;
    const sides = this.#sides.of(root);
    if (sides.lower !== null && this.#journal.records.root.base === null) {
      const stat = this.#lower.stat(sides.lower);
      this.#work.dress(sides.lower, stat, this.#keeper.view(root, stat), this.#files);
      this.#journal.note(["base", "", baseOf(stat)]);
    }
    sides.upper = this.#upper.nodes.root;
  }

  tell(place: Place, stat: BigIntStats): Node {
    const node = this.nodes.tell(place, stat);
    try {
      this.#sides.attach(node, place);
      return node;
    } catch (error) {
      this.nodes.forget(node.id, 1);
      throw error;
    }
  }

  statEntry(parent: Node, name: string): BigIntStats | undefined {
    this.#journal.catchUp();
    return this.#sides.upperEntry(parent, name) ?? this.#sides.lowerEntry(parent, name);
  }

  stat(node: Node): BigIntStats {
    for (const fd of node.open.values()) return fstatSync(fd, { bigint: true });
    const [tree, real] = this.#sides.shown(node);
    return tree.stat(real);
  }

  names(directory: Node): string[] {
    this.#journal.catchUp();
    const { upper, lower } = this.#sides.of(directory);
    const names = upper === null ? [] : this.#upper.names(upper);
    if (lower === null) return names;
    const known = new Set(names);
    const hidden = this.#sides.recordOf(directory)?.children;
    try {
      for (const name of this.#lower.names(lower)) {
        if (!known.has(name) && hidden?.get(name)?.isHidden !== true) names.push(name);
      }
    } catch (error) {
      // The host has removed it. What the guest has made in it is still there.
      if (upper === null) throw error;
    }
    return names;
  }

  open(node: Node, flags: number): number {
    const [tree, real] = this.#sides.shown(node);
    const writes = constants.O_WRONLY | constants.O_RDWR | constants.O_TRUNC;
    if (tree === this.#lower && (flags & writes) !== 0) throw new Refusal(errno.rofs);
    // A descriptor is another way to the file, which must not be the host's, whatever has failed before.
    for (const fd of node.open.values())
      if (isSame(real, fstatSync(fd, { bigint: true }))) return openSync(`/proc/self/fd/${fd}`, flags);
    return tree.open(real, flags);
  }

  pathOf(node: Node): Buffer {
    const [tree, real] = this.#sides.shown(node);
    return tree.pathOf(real);
  }

  /** In the layer, where the directory is made if it is not there. */
  pathIn(parent: Node, name: string): Buffer {
    return this.#upper.pathIn(this.#upperOf(parent), name);
  }

  directoryFd(node: Node): number {
    const { upper, lower } = this.#sides.of(node);
    if (lower !== null) return this.#lower.directoryFd(lower);
    if (upper !== null) return this.#upper.directoryFd(upper);
    throw new Refusal(errno.stale);
  }

  kindOf(node: Node): FileSystemKind {
    const { lower } = this.#sides.of(node);
    return lower === null ? "files" : this.#lower.kindOf(lower);
  }

  close(): void {
    this.#lower.close();
    this.#upper.close();
    this.#journal.close();
  }

  opened(node: Node, fd: number): void {
    if (this.#sides.of(node).upper !== null || node.places.length === 0) return;
    this.#read.note(this.#sides.pathOf(node), fstatSync(fd, { bigint: true }).ctimeNs);
  }

  /** Of a directory that is in both the guest sees the time of its own: by that it knows that its listing is old. */
  changedOnHost(directory: Node): void {
    const { upper, lower } = this.#sides.of(directory);
    if (upper !== null && lower !== null) this.#touch(upper);
  }

  isGuests(parent: Node, name: string): boolean {
    return this.#sides.upperEntry(parent, name) !== undefined;
  }

  requireFree(parent: Node, name: string): void {
    this.#sides.refresh(parent);
    if (this.statEntry(parent, name) !== undefined) throw new Refusal(errno.exist);
  }

  writable(node: Node, empties: boolean): void {
    const { upper, lower } = this.#sides.of(node);
    if (upper !== null || lower === null) return;
    if (node.identity.type === fileTypes.directory) this.#upperOf(node);
    else this.#copyUp(node, lower, empties);
  }

  remove(parent: Node, name: string, isDirectory: boolean): void {
    this.#journal.catchUp();
    this.#sides.refresh(parent);
    const upper = this.#sides.upperEntry(parent, name);
    const lower = this.#sides.lowerEntry(parent, name);
    const stat = upper ?? lower;
    if (stat === undefined) throw new Refusal(errno.noent);
    if (stat.isDirectory() !== isDirectory) throw new Refusal(isDirectory ? errno.notdir : errno.isdir);
    if (isDirectory) this.#requireEmpty(stat);
    const inLayer = this.#upperOf(parent);
    if (lower !== undefined) {
      const path = below(this.#sides.pathOf(parent), name);
      const base = upper === undefined ? this.#baseOf(path, this.nodes.known(lower), lower) : null;
      this.#journal.note(["hide", path, base]);
    }
    if (upper === undefined) this.#touch(inLayer);
    else {
      const real = this.#upper.nodes.known(upper);
      this.#upper.remove(inLayer, name, isDirectory);
      if (real !== undefined) this.#upper.nodes.removePlace(real, { parent: inLayer, name });
    }
  }

  beforeMove(from: Place, to: Place, flags: number): () => void {
    for (const { parent } of [from, to]) this.#sides.refresh(parent);
    const source = this.statEntry(from.parent, from.name);
    if (source === undefined) throw new Refusal(errno.noent);
    const target = this.statEntry(to.parent, to.name);
    const exchanges = flags === renameFlags.exchange;
    if (target !== undefined && flags === renameFlags.noReplace) throw new Refusal(errno.exist);
    if (target === undefined && exchanges) throw new Refusal(errno.noent);
    this.#requireMovable(from, source);
    if (target !== undefined && exchanges) this.#requireMovable(to, target);
    // What may fail comes before what is noted.
    for (const { parent } of [from, to]) this.#upperOf(parent);
    if (target !== undefined && !exchanges) this.#prepareReplaced(to, source, target);
    const isHosts = this.#sides.lowerEntry(from.parent, from.name) !== undefined;
    const places = [from, to].map(({ parent, name }) => ({ parent: this.#upperOf(parent), name }));
    const [before, after] = places as [Place, Place];
    const [moved, other] = places.map((place) => this.#upperNode(place));
    return () => {
      if (moved !== other) {
        if (other !== undefined) this.#upper.nodes.removePlace(other, after);
        if (other !== undefined && exchanges) this.#upper.nodes.addPlace(other, before);
        if (moved !== undefined) this.#upper.nodes.addPlace(moved, after);
        if (moved !== undefined) this.#upper.nodes.removePlace(moved, before);
      }
      // Not before: until then the file has no other name in the layer.
      if (isHosts && !exchanges)
        this.#journal.note(["hide", below(this.#sides.pathOf(from.parent), from.name), null]);
    };
  }

  #upperNode({ parent, name }: Place): Node | undefined {
    const stat = this.#upper.statEntry(parent, name);
    return stat === undefined ? undefined : this.#upper.nodes.known(stat);
  }

  /** What is moved must be in the layer: a file is copied there, a directory that the host has is not moved. */
  #requireMovable({ parent, name }: Place, stat: BigIntStats): void {
    if (stat.isDirectory()) {
      if (this.#sides.lowerEntry(parent, name)?.isDirectory() === true) throw new Refusal(errno.xdev);
      return;
    }
    const node = this.nodes.known(stat);
    if (node === undefined) throw new Refusal(errno.stale);
    this.nodes.addPlace(node, { parent, name });
    this.writable(node, false);
  }

  #prepareReplaced({ parent, name }: Place, source: BigIntStats, target: BigIntStats): void {
    if (source.ino === target.ino && source.dev === target.dev) return;
    if (target.isDirectory()) {
      if (!source.isDirectory()) throw new Refusal(errno.isdir);
      this.#requireEmpty(target);
    } else if (source.isDirectory()) throw new Refusal(errno.notdir);
    const lower = this.#sides.lowerEntry(parent, name);
    if (lower === undefined) return;
    const path = below(this.#sides.pathOf(parent), name);
    const isCovered = this.#sides.upperEntry(parent, name) !== undefined;
    const base = isCovered ? null : this.#baseOf(path, this.nodes.known(lower), lower);
    // A directory would be seen through. A file covers what the host has as soon as it is there, and not before.
    if (source.isDirectory()) this.#journal.note(["hide", path, base]);
    else if (base !== null) this.#journal.note(["base", path, base]);
  }

  #requireEmpty(directory: BigIntStats): void {
    const node = this.nodes.known(directory);
    if (node === undefined) throw new Refusal(errno.stale);
    if (this.names(node).length > 0) throw new Refusal(errno.notempty);
  }

  #copyUp(node: Node, lower: Node, empties: boolean): void {
    const [place] = node.places;
    if (place === undefined) throw new Refusal(errno.stale);
    const { parent, name } = place;
    const inLayer = this.#upperOf(parent);
    // The guest has put another file there by now.
    if (this.#sides.upperEntry(parent, name) !== undefined) throw new Refusal(errno.stale);
    const path = below(this.#sides.pathOf(parent), name);
    const stat = this.#lower.stat(lower);
    const bytes = fileBytes + (empties ? 0 : Number(stat.size));
    const others = node.places.slice(1);
    this.#work.aside((work) => {
      this.#keeper.adding(bytes, () => {
        const isWhole = this.#work.copy(lower, stat, this.#keeper.view(node, stat), work, empties);
        const now = this.#lower.stat(lower);
        const open = constants.O_RDONLY | constants.O_NOFOLLOW;
        const reopening = this.#keeper.reopen(node, () => openSync(work, open));
        try {
          this.#journal.note(["base", path, isWhole ? this.#baseOf(path, node, now) : unknownBase]);
          renameSync(work, this.#upper.pathIn(inLayer, name));
          this.#become(node, inLayer, name);
        } catch (error) {
          reopening.drop();
          throw error;
        }
        reopening.take();
      });
    });
    // The host's other names of it are another file for the guest from now on.
    for (const other of others) {
      this.nodes.removePlace(node, other);
      this.#keeper.nameChanged(other.parent, other.name);
    }
  }

  /** The directory in the layer, made if it is not there, with all above it. */
  #upperOf(directory: Node): Node {
    const missing: Node[] = [];
    let inLayer = this.#sides.of(directory).upper;
    for (let each = directory; inLayer === null; inLayer = this.#sides.of(each).upper) {
      missing.push(each);
      const above = each.places[0]?.parent;
      if (above === undefined) throw new Refusal(errno.stale);
      each = above;
    }
    for (const each of missing.reverse()) inLayer = this.#makeUpper(each, inLayer);
    return inLayer;
  }

  #makeUpper(node: Node, inLayer: Node): Node {
    const { lower } = this.#sides.of(node);
    const name = node.places[0]?.name;
    if (lower === null || name === undefined) throw new Refusal(errno.stale);
    const stat = this.#lower.stat(lower);
    this.#work.aside((work) => {
      this.#keeper.adding(fileBytes, () => {
        this.#work.directory(lower, stat, this.#keeper.view(node, stat), work);
        this.#journal.note(["base", this.#sides.pathOf(node), baseOf(stat)]);
        renameSync(work, this.#upper.pathIn(inLayer, name));
      });
    });
    return this.#become(node, inLayer, name);
  }

  /** The guest's number is that of the file in the layer from now on. */
  #become(node: Node, inLayer: Node, name: string): Node {
    const stat = this.#upper.statEntry(inLayer, name);
    if (stat === undefined) throw new Refusal(errno.stale);
    const sides = this.#sides.of(node);
    sides.upper = this.#upper.nodes.tell({ parent: inLayer, name }, stat);
    if (!stat.isDirectory() && sides.lower !== null) {
      this.#lower.nodes.forget(sides.lower.id, 1);
      sides.lower = null;
    }
    this.nodes.become(node, stat);
    return sides.upper;
  }

  /** What the host's file is, if that is what the guest knows. */
  #baseOf(path: string, node: Node | undefined, stat: BigIntStats): Base {
    if (stat.isDirectory()) return baseOf(stat);
    const { ctimeNs } = stat;
    const isTold = node !== undefined && node.toldCtimeNs === ctimeNs;
    if (!isTold || this.#read.hasOther(path, ctimeNs)) return unknownBase;
    const age = BigInt(Date.now()) * 1_000_000n - ctimeNs;
    return age >= 0n && age < settledNs ? unknownBase : baseOf(stat);
  }

  #touch(inLayer: Node): void {
    const now = Date.now() / 1000;
    utimesSync(this.#upper.pathOf(inLayer), now, now);
  }
}
