import { ImageError } from "../../errors/index.ts";
import type { Budget } from "../erofs/budget.ts";
import { type ByteArena, longer } from "../erofs/columns.ts";
import { quote } from "../tar/entry.ts";

/** A hard link to a file that its own layer does not have. */
export interface PendingLink {
  /** Stands for the target until it is found. */
  readonly inode: number;
  /** Path from the root, without a slash at its start. */
  readonly target: string;
}

/** What a link takes in the columns, here and where its inode becomes another one. */
const rowBytes = 16;

/** A longer target can only be made of symbolic links, to harm. */
const maximumTargetBytes = 0xffff;

/** Hard links of one layer that wait for a lower one to have their targets. In columns, because there may be very many. */
export class PendingLinks {
  readonly #layer: string;
  readonly #budget: Budget;
  readonly #paths: ByteArena;
  #count = 0;
  #inode = new Uint32Array(64);
  #targetAt = new Uint32Array(64);
  #targetLength = new Uint16Array(64);

  /**
   * @param layer how errors call it
   * @param paths where targets are kept
   */
  constructor(layer: string, budget: Budget, paths: ByteArena) {
    this.#layer = layer;
    this.#budget = budget;
    this.#paths = paths;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws ImageError when the links take too much memory */
  add({ inode, target }: PendingLink): void {
    if (target.length > maximumTargetBytes) throw new ImageError("its hard link's target is too long");
    this.#budget.metadata(rowBytes + target.length);
    this.#append(inode, this.#paths.append(target), target.length);
  }

  /** @param isSettled whether a link need not wait any more */
  settle(isSettled: (link: PendingLink) => boolean): void {
    const count = this.#count;
    this.#count = 0;
    for (let link = 0; link < count; link++) {
      if (isSettled(this.#link(link))) continue;
      this.#append(this.#inode[link] ?? 0, this.#targetAt[link] ?? 0, this.#targetLength[link] ?? 0);
    }
  }

  /** @throws ImageError when a link waits still, because no layer has its target */
  requireNone(): void {
    if (this.#count > 0) throw this.missing(this.#link(0));
  }

  missing({ target }: PendingLink): ImageError {
    return new ImageError(
      `layer ${this.#layer}: a hard link leads to ${quote(target)}, which is no file of the image`,
    );
  }

  #link(link: number): PendingLink {
    const target = this.#paths.text(this.#targetAt[link] ?? 0, this.#targetLength[link] ?? 0);
    return { inode: this.#inode[link] ?? 0, target };
  }

  #append(inode: number, targetAt: number, targetLength: number): void {
    const link = this.#count++;
    if (link === this.#inode.length) this.#grow(link * 2);
    this.#inode[link] = inode;
    this.#targetAt[link] = targetAt;
    this.#targetLength[link] = targetLength;
  }

  #grow(length: number): void {
    this.#inode = longer(this.#inode, length);
    this.#targetAt = longer(this.#targetAt, length);
    this.#targetLength = longer(this.#targetLength, length);
  }
}
