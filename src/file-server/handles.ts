import { closeSync } from "node:fs";
import { errno } from "./fuse/numbers.ts";
import { Refusal } from "./fuse/refusal.ts";
import { setOpen, type Node } from "./tree/node.ts";

/** Names of directories that are being listed, in all: a guest that opens one again and again gets no more. */
const mostNames = 2_000_000;

/** One open file of the guest's. */
export interface FileHandle {
  readonly kind: "file";
  readonly node: Node;
  /** Another one when the file has gone into a layer. */
  fd: number;
  readonly isWritable: boolean;
  /** The descriptor appends whatever the offset is. */
  readonly appends: boolean;
  /** For what was written through mapped memory, which has its place: opened when `appends` and it is needed. */
  placedFd: number;
}

/** One open directory, and its names as they were when it was read from the beginning. */
export interface DirectoryHandle {
  readonly kind: "directory";
  readonly node: Node;
  names: readonly string[] | null;
}

type Handle = FileHandle | DirectoryHandle;

/** What the guest has open. */
export class Handles {
  readonly #handles = new Map<number, Handle>();
  readonly #most: number;
  #names = 0;
  #next = 1;

  /** @param most open at once */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#handles.size;
  }

  /** @throws Refusal ENFILE */
  requireRoom(): void {
    if (this.#handles.size >= this.#most) throw new Refusal(errno.nfile);
  }

  add(handle: Handle): number {
    const number = this.#next++;
    this.#handles.set(number, handle);
    if (handle.kind === "file") setOpen(handle.node, number, handle.fd);
    return number;
  }

  peek(number: number): Handle | undefined {
    return this.#handles.get(number);
  }

  /** @throws Refusal EBADF for anything that is not an open file */
  file(number: number): FileHandle {
    const handle = this.#handles.get(number);
    if (handle?.kind !== "file") throw new Refusal(errno.badf);
    return handle;
  }

  /** @throws Refusal EBADF for anything that is not an open directory */
  directory(number: number): DirectoryHandle {
    const handle = this.#handles.get(number);
    if (handle?.kind !== "directory") throw new Refusal(errno.badf);
    return handle;
  }

  /** @throws Refusal ENFILE when too many are held already */
  holdNames(handle: DirectoryHandle, names: readonly string[] | null): void {
    const held = this.#names - (handle.names?.length ?? 0) + (names?.length ?? 0);
    if (names !== null && held > mostNames) throw new Refusal(errno.nfile);
    this.#names = held;
    handle.names = names;
  }

  /** @returns whose it was; null when it was nobody's */
  release(number: number): Node | null {
    const handle = this.#handles.get(number);
    if (handle === undefined) return null;
    this.#handles.delete(number);
    if (handle.kind === "file") setOpen(handle.node, number, null);
    if (handle.kind === "directory") this.holdNames(handle, null);
    else {
      closeSync(handle.fd);
      if (handle.placedFd >= 0) closeSync(handle.placedFd);
    }
    return handle.node;
  }

  /**
   * Opens the open files of a node in another place. All are opened before any is used: one that stayed in the old place would be
   * written to there.
   *
   * @param open a new descriptor for each
   * @throws what `open` throws; nothing has happened then
   */
  reopen(node: Node, open: () => number): { take(): void; drop(): void } {
    const opened = new Map<number, number>();
    const drop = (): void => {
      for (const fd of opened.values()) closeSync(fd);
      opened.clear();
    };
    try {
      for (const number of node.open.keys())
        if (this.#handles.get(number)?.kind === "file") opened.set(number, open());
    } catch (error) {
      drop();
      throw error;
    }
    const take = (): void => {
      for (const [number, fd] of opened) {
        const handle = this.#handles.get(number);
        if (handle?.kind !== "file") continue;
        closeSync(handle.fd);
        handle.fd = fd;
        setOpen(node, number, fd);
      }
    };
    return { take, drop };
  }

  closeAll(): void {
    for (const number of [...this.#handles.keys()]) this.release(number);
  }
}
