import type { BigIntStats } from "node:fs";
import { errno, rootNodeId } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { identityOf, isSame, makeNode, type Node, type Place } from "./node.ts";

/**
 * More than the kernel of a guest of a gigabyte has room for; a guest that never forgets gets no more. Each takes some 500 bytes here,
 * measured with Node 24, and its names.
 */
const mostNodes = 1 << 20;
/** Bytes of names, with what each name takes beside them. */
const mostNameBytes = 128 << 20;
const eachNameBytes = 64;
/** Of a file with more names, those that were seen last are known. */
const mostPlaces = 8;

/** All nodes that the guest's kernel may name, one for each file however many names it has. */
export class NodeTable {
  readonly root: Node;
  readonly #rootDevice: bigint;
  readonly #byId = new Map<number, Node>();
  readonly #byKey = new Map<bigint | string, Node>();
  readonly #gone: (node: Node) => void;
  readonly #most: number;
  readonly #mostNameBytes: number;
  #nameBytes = 0;
  #nextId = rootNodeId + 1;

  /** @param gone called for each node that is known no more */
  constructor(
    rootStat: BigIntStats,
    gone: (node: Node) => void,
    most = mostNodes,
    mostBytesOfNames = mostNameBytes,
  ) {
    this.#rootDevice = rootStat.dev;
    this.#gone = gone;
    this.#most = most;
    this.#mostNameBytes = mostBytesOfNames;
    this.root = this.#make(rootNodeId, rootStat);
    // The kernel never looks it up and never forgets it.
    this.root.lookups = 1;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Whether the kernel is told of no more files before it forgets some. */
  get isFull(): boolean {
    return this.#byId.size >= this.#most || this.#nameBytes >= this.#mostNameBytes;
  }

  /** @throws Refusal ESTALE for a number that was never given or has been forgotten */
  get(id: number): Node {
    const node = this.#byId.get(id);
    if (node === undefined) throw new Refusal(errno.stale);
    return node;
  }

  /** The node of a file that was found somewhere, if the guest knows it. */
  known(stat: BigIntStats): Node | undefined {
    const node = this.#byKey.get(this.#keyOf(stat));
    return node !== undefined && isSame(node, stat) ? node : undefined;
  }

  /** The node of a file that was found at a place. The kernel is told it, and forgets it later. @throws Refusal ENFILE */
  tell(place: Place, stat: BigIntStats): Node {
    let node = this.known(stat);
    if (node === undefined) {
      if (this.isFull) throw new Refusal(errno.nfile);
      // One that had the key before keeps its number, and is found by that alone.
      node = this.#make(this.#nextId++, stat);
    }
    this.addPlace(node, place);
    node.lookups++;
    return node;
  }

  /** The kernel has forgotten that it was told a node so many times. */
  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (node === undefined || node === this.root) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.dropUnused(node);
  }

  /** What the guest knows by a node's number is another file from now on. */
  become(node: Node, stat: BigIntStats): void {
    if (this.#byKey.get(node.key) === node) this.#byKey.delete(node.key);
    node.shownIno ??= node.identity.ino;
    node.identity = identityOf(stat);
    node.key = this.#keyOf(stat);
    node.kind = null;
    node.overrideAtNs = -1n;
    this.#byKey.set(node.key, node);
  }

  /** A file has, or still has, this name. */
  addPlace(node: Node, place: Place): void {
    const [first] = node.places;
    if (first?.parent === place.parent && first.name === place.name) return;
    const others = without(node.places, place);
    if (others.length === node.places.length) {
      place.parent.children++;
      this.#nameBytes += eachNameBytes + place.name.length;
    }
    node.places = [place, ...others.slice(0, mostPlaces - 1)];
    for (const lost of others.slice(mostPlaces - 1)) this.#leave(lost);
  }

  /** A file has lost this name. */
  removePlace(node: Node, place: Place): void {
    const others = without(node.places, place);
    if (others.length === node.places.length) return;
    node.places = others;
    this.#leave(place);
  }

  /** Called when a handle of the node was closed, too. */
  dropUnused(node: Node): void {
    // Not by recursion: a guest makes trees as deep as it likes.
    for (const waiting = [node]; ;) {
      const next = waiting.pop();
      if (next === undefined) return;
      if (next === this.root || next.lookups > 0 || next.children > 0 || next.open.size > 0) continue;
      if (!this.#byId.delete(next.id)) continue;
      if (this.#byKey.get(next.key) === next) this.#byKey.delete(next.key);
      this.#gone(next);
      for (const { parent, name } of next.places) {
        parent.children--;
        this.#nameBytes -= eachNameBytes + name.length;
        waiting.push(parent);
      }
      next.places = [];
    }
  }

  #leave({ parent, name }: Place): void {
    this.#nameBytes -= eachNameBytes + name.length;
    parent.children--;
    this.dropUnused(parent);
  }

  #make(id: number, stat: BigIntStats): Node {
    const node = makeNode(id, this.#keyOf(stat), stat);
    this.#byId.set(id, node);
    this.#byKey.set(node.key, node);
    return node;
  }

  #keyOf(stat: BigIntStats): bigint | string {
    return stat.dev === this.#rootDevice ? stat.ino : `${stat.dev}:${stat.ino}`;
  }
}

function without(places: readonly Place[], { parent, name }: Place): Place[] {
  return places.filter((place) => place.parent !== parent || place.name !== name);
}
