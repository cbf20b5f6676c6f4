import type { Node } from "./node.ts";

/** What one name takes beside its own bytes: measured with Node 24, and rounded up. */
const eachBytes = 96;
/** Of one mount: some 250,000 names. */
const mostBytes = 32 << 20;
/** Of one mount, for names that are not there: a guest makes those up for nothing. */
const mostMissingBytes = 2 << 20;

/**
 * Which names the guest's kernel was told of in directories that are watched. What is not remembered here it must not believe for
 * long, because it would not be told when that is over.
 */
export class ToldNames {
  readonly #most: number;
  readonly #mostMissing: number;
  #bytes = 0;
  #missingBytes = 0;

  /** @param most bytes, and `mostMissing` of them for names that are not there */
  constructor(most = mostBytes, mostMissing = mostMissingBytes) {
    this.#most = most;
    this.#mostMissing = mostMissing;
  }

  /** Bytes that are held, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A directory is watched from now on. */
  begin(directory: Node): void {
    directory.told ??= new Map();
  }

  /** It is watched no more. */
  end(directory: Node): void {
    for (const [name, id] of directory.told ?? []) this.#count(name, id, -1);
    directory.told = null;
  }

  /** @param id of the node that the kernel was told; 0 for none. @returns whether it is remembered */
  add(directory: Node, name: string, id: number): boolean {
    const { told } = directory;
    if (told === null) return false;
    this.remove(directory, name);
    const bytes = eachBytes + name.length;
    if (this.#bytes + bytes > this.#most) return false;
    if (id === 0 && this.#missingBytes + bytes > this.#mostMissing) return false;
    told.set(name, id);
    this.#count(name, id, 1);
    return true;
  }

  remove(directory: Node, name: string): void {
    const id = directory.told?.get(name);
    if (id === undefined) return;
    directory.told?.delete(name);
    this.#count(name, id, -1);
  }

  /** The kernel has forgotten a node, and with it its names. */
  forget(node: Node): void {
    for (const { parent, name } of node.places) {
      if (parent.told?.get(name) === node.id) this.remove(parent, name);
    }
  }

  #count(name: string, id: number, sign: 1 | -1): void {
    const bytes = sign * (eachBytes + name.length);
    this.#bytes += bytes;
    if (id === 0) this.#missingBytes += bytes;
  }
}
