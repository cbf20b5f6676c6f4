import type { BigIntStats } from "node:fs";
import { errno } from "./fuse/numbers.ts";
import { Refusal } from "./fuse/refusal.ts";

/** What a name and its file take at least: a guest fills a disk with empty files, too. */
export const fileBytes = 4096;

/** What a file counts for besides its name. What a directory or a link takes is within that of the name. */
export function contentBytes(stat: BigIntStats): number {
  return stat.isFile() ? Number(stat.size) : 0;
}

/** Counts what the guest has added, and refuses what is more than it may add. What it removes is given back to it. */
export class Quota {
  readonly #most: number | null;
  #added = 0;

  /**
   * @param most bytes; null: it is not limited
   * @param used bytes that are there already and are part of it
   */
  constructor(most: number | null, used = 0) {
    this.#most = most;
    this.#added = used;
  }

  /** Bytes that may still be added; null: it is not limited. */
  get left(): number | null {
    return this.#most === null ? null : Math.max(0, this.#most - this.#added);
  }

  get isLimited(): boolean {
    return this.#most !== null;
  }

  /** @throws Refusal ENOSPC */
  add(bytes: number): void {
    if (this.#most === null || bytes <= 0) return;
    if (this.#added + bytes > this.#most) throw new Refusal(errno.nospc);
    this.#added += bytes;
  }

  /** Takes room for what is done then, and gives it back when that fails. @throws Refusal ENOSPC */
  adding<T>(bytes: number, act: () => T): T {
    this.add(bytes);
    try {
      return act();
    } catch (error) {
      if (bytes > 0) this.giveBack(bytes);
      throw error;
    }
  }

  /** The same for a file, or another name. */
  addingFile<T>(make: () => T): T {
    return this.adding(fileBytes, make);
  }

  giveBack(bytes: number): void {
    this.#added = Math.max(0, this.#added - bytes);
  }

  /** The last name of a file was removed, and nobody has it open: while someone has, it takes its room. */
  removed(stat: BigIntStats): void {
    this.giveBack(fileBytes + contentBytes(stat));
  }
}
