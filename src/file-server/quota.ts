import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { join } from "node:path";
import { errno } from "./fuse/numbers.ts";
import { Refusal } from "./fuse/refusal.ts";

/** What a name and its file take at least: a guest fills a disk with empty files, too. */
const fileBytes = 4096;

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

  /** @throws Refusal ENOSPC */
  addFile(): void {
    this.add(fileBytes);
  }

  giveBack(bytes: number): void {
    this.#added = Math.max(0, this.#added - bytes);
  }

  /** The last name of a file was removed, and nobody has it open: while someone has, it takes its room. */
  removed(stat: BigIntStats): void {
    this.giveBack(fileBytes + (stat.isDirectory() ? 0 : Number(stat.size)));
  }
}

/** What a directory holds, as it is counted here. Links are not followed. */
export function usedBytes(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const { size } = lstatSync(join(entry.parentPath, entry.name));
    bytes += fileBytes + (entry.isDirectory() ? 0 : size);
  }
  return bytes;
}
