import { writeAttributes, writeValidity } from "../../file-server/fuse/attributes.ts";
import { errno, sizes } from "../../file-server/fuse/numbers.ts";
import { Refusal } from "../../file-server/fuse/refusal.ts";
import { answer, bodyAt, writeU64 } from "../../file-server/fuse/reply.ts";
import type { Request } from "../../file-server/fuse/request.ts";
import type { ProviderCall } from "../file-provider.ts";
import type { CheckedEntry, CheckedProvider } from "./checked-provider.ts";
import { isOwner, modeOf, type CheckedStat } from "./checked-stat.ts";
import { ProvidedNodes, type ProvidedNode } from "./provided-nodes.ts";

export interface ProvidedTreeOptions {
  readonly readOnly: boolean;
  /** Who owns all files, as the guest sees it; null: whoever the provider says. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** How long the guest may believe what it was told, ms. */
  readonly cacheMs: number;
}

/** What the guest has open. */
export interface ProvidedHandle {
  readonly node: ProvidedNode;
  readonly isWritable: boolean;
  isReleased: boolean;
  /** Of a directory, as it was when it was read from the beginning. */
  entries: readonly CheckedEntry[] | null;
}

/** One request of the guest's that is being answered. */
export interface Call {
  /** For the provider. */
  readonly provider: ProviderCall;
  /** What the kernel is told with the answer: taken back when there is none. */
  readonly told: ProvidedNode[];
  readonly opened: number[];
}

/** More is no use to anyone: a process in the guest may have 1,024 files open unless it asks for more. */
const mostHandles = 16_384;
/** Of directories that are being listed, in all. */
const mostEntries = 2_000_000;
/** How often a file may be moved while it is asked for. */
const mostTries = 4;

/** @returns the number of a user or a group @throws Refusal EINVAL for the one that nobody has */
export function requireOwner(id: number): number {
  if (!isOwner(id)) throw new Refusal(errno.inval);
  return id;
}

/** What a provider has, as the guest's kernel knows it, and all that the operations have in common. */
export class ProvidedTree {
  /** The supervisor puts the mount's number there. */
  readonly mount = 0;
  readonly files: CheckedProvider;
  readonly nodes: ProvidedNodes = new ProvidedNodes();
  readonly owner: ProvidedTreeOptions["owner"];
  /** The guest is gone, or has begun anew: nobody has anything open. */
  isClosed = false;
  readonly #readOnly: boolean;
  readonly #cacheMs: number;
  readonly #handles = new Map<number, ProvidedHandle>();
  #nextHandle = 1;
  #entries = 0;

  constructor(files: CheckedProvider, { readOnly, owner, cacheMs }: ProvidedTreeOptions) {
    this.files = files;
    this.owner = owner;
    this.#readOnly = readOnly;
    this.#cacheMs = cacheMs;
  }

  /** @throws Refusal EROFS */
  requireWritable(): void {
    if (this.#readOnly) throw new Refusal(errno.rofs);
  }

  /** @throws Refusal ESTALE, ENOTDIR */
  directory(id: number): ProvidedNode {
    const node = this.nodes.get(id);
    if (node.kind !== "directory") throw new Refusal(errno.notdir);
    return node;
  }

  /** Does something at the path of a file, again where it was renamed meanwhile. */
  async at<T>(node: ProvidedNode, work: (path: string) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const path = this.nodes.pathOf(node);
      try {
        return await work(path);
      } catch (error) {
        const isMissing = error instanceof Refusal && error.errno === errno.noent;
        if (!isMissing || tries >= mostTries || this.nodes.pathOf(node) === path) throw error;
      }
    }
  }

  /** What is known of a file now. @throws Refusal ESTALE when another one is at its place */
  async stat(node: ProvidedNode, call: Call): Promise<CheckedStat> {
    const stat = await this.at(node, (path) => this.files.stat(path, call.provider));
    if (!this.nodes.isSame(node, stat)) throw new Refusal(errno.stale);
    node.fileId ??= stat.id;
    return stat;
  }

  done(request: Request): Buffer {
    return answer(this.mount, request.unique, 0);
  }

  bytes(request: Request, bytes: Uint8Array): Buffer {
    const reply = answer(this.mount, request.unique, bytes.length);
    reply.set(bytes, bodyAt);
    return reply;
  }

  /** Tells the kernel of a file that was found at a place. @throws Refusal ENFILE, ESTALE */
  tell(call: Call, parent: ProvidedNode, name: string, stat: CheckedStat): ProvidedNode {
    const node = this.nodes.tell(parent, name, stat);
    call.told.push(node);
    return node;
  }

  /** An answer that tells of an entry, with room for more after that. */
  entry(request: Request, node: ProvidedNode, stat: CheckedStat, more = 0): Buffer {
    const reply = answer(this.mount, request.unique, sizes.entryOut + more);
    this.writeEntry(reply, bodyAt, node, stat);
    return reply;
  }

  /** An answer that there is no such entry. */
  noEntry(request: Request): Buffer {
    const reply = answer(this.mount, request.unique, sizes.entryOut).fill(0, bodyAt);
    writeValidity(reply, bodyAt + 16, bodyAt + 32, this.#cacheMs);
    return reply;
  }

  /** Writes a `fuse_entry_out`. */
  writeEntry(target: Buffer, at: number, node: ProvidedNode, stat: CheckedStat): void {
    writeU64(target, node.id, at);
    writeU64(target, 0, at + 8);
    writeValidity(target, at + 16, at + 32, this.#cacheMs);
    writeValidity(target, at + 24, at + 36, this.#cacheMs);
    this.#writeAttributes(target, at + 40, node, stat);
  }

  /** The answer to GETATTR and SETATTR. */
  attributes(request: Request, node: ProvidedNode, stat: CheckedStat): Buffer {
    const reply = answer(this.mount, request.unique, sizes.attrOut).fill(0, bodyAt, bodyAt + 16);
    writeValidity(reply, bodyAt, bodyAt + 8, this.#cacheMs);
    this.#writeAttributes(reply, bodyAt + 16, node, stat);
    return reply;
  }

  /** @throws Refusal ENFILE */
  open(call: Call, node: ProvidedNode, isWritable: boolean): number {
    if (this.#handles.size >= mostHandles) throw new Refusal(errno.nfile);
    const number = this.#nextHandle++;
    this.#handles.set(number, { node, isWritable, isReleased: false, entries: null });
    node.open++;
    call.opened.push(number);
    return number;
  }

  /** @throws Refusal EBADF */
  handle(number: number, kind: "file" | "directory"): ProvidedHandle {
    const handle = this.#handles.get(number);
    if (handle?.node.kind !== kind) throw new Refusal(errno.badf);
    return handle;
  }

  /** Whether the file of a handle is to be removed when that is closed. */
  holdsRemoved(number: number): boolean {
    const node = this.#handles.get(number)?.node;
    return node !== undefined && node.removedName !== null && node.open === 1;
  }

  /** @returns whose it was, when that was its last one; null else */
  release(number: number): ProvidedNode | null {
    const handle = this.#handles.get(number);
    if (handle === undefined) return null;
    this.#handles.delete(number);
    handle.isReleased = true;
    this.#entries -= handle.entries?.length ?? 0;
    const { node } = handle;
    node.open--;
    return node.open === 0 ? node : null;
  }

  /** @throws Refusal ENFILE when too many are held already */
  holdEntries(handle: ProvidedHandle, entries: readonly CheckedEntry[]): void {
    if (handle.isReleased) return;
    const held = this.#entries - (handle.entries?.length ?? 0) + entries.length;
    if (held > mostEntries) throw new Refusal(errno.nfile);
    this.#entries = held;
    handle.entries = entries;
  }

  /** There is no answer: what it was to say was not said. */
  takeBack({ told, opened }: Call): void {
    for (const number of opened.splice(0)) {
      const node = this.release(number);
      if (node !== null) this.nodes.dropUnused(node);
    }
    for (const { id } of told.splice(0)) this.nodes.forget(id, 1);
  }

  #writeAttributes(target: Buffer, at: number, node: ProvidedNode, stat: CheckedStat): void {
    const { uid, gid } = this.owner ?? stat;
    const ino = BigInt(stat.id ?? node.id);
    writeAttributes(target, at, stat.facts, { ino, mode: modeOf(stat), uid, gid, rdev: 0 });
  }
}
