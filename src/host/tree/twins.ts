import { lstat } from "node:fs/promises";
import type { HeldDirectory } from "../contained/held-directory.ts";

/**
 * Keeps entries of one directory from overwriting one another where the file system does not tell capitals from small letters, or
 * one form of a letter from another. Whether it does is found out with the first name that has a letter.
 */
export class Twins {
  #folds: boolean | undefined;
  /** What was written, by inode and by folded name: file systems without inodes of their own make them up. */
  readonly #written = new Set<string>();

  /** @param folds what is known of it */
  constructor(folds: boolean | undefined) {
    this.#folds = folds;
  }

  /** Of a directory that was made in this one: it is as this one is. */
  get ofChild(): Twins {
    return new Twins(this.#folds);
  }

  /** Several entries may be written at a time. */
  get areRuledOut(): boolean {
    return this.#folds === false;
  }

  /** Finds out whether names are folded here. @param name of something that is there now */
  async probe(directory: HeldDirectory, name: Buffer): Promise<void> {
    if (this.#folds !== undefined) return;
    const other = swapCase(name);
    if (other.equals(name)) return;
    const [found, twin] = await Promise.all([identity(directory, name), identity(directory, other)]);
    if (found === null) return;
    this.#folds = found === twin;
    if (!this.#folds) this.#written.clear();
  }

  /** Whether this name is that of an entry which was written before. */
  async has(directory: HeldDirectory, name: Uint8Array): Promise<boolean> {
    if (this.#folds === false) return false;
    const found = await identity(directory, name);
    if (found === null) return false;
    return this.#written.has(found) || (this.#folds === true && this.#written.has(folded(name)));
  }

  /** Notes an entry that is in its place. */
  async add(directory: HeldDirectory, name: Uint8Array): Promise<void> {
    if (this.#folds === false) return;
    this.#written.add(folded(name));
    const found = await identity(directory, name);
    if (found !== null) this.#written.add(found);
  }
}

async function identity(directory: HeldDirectory, name: Uint8Array): Promise<string | null> {
  const found = await lstat(directory.at(name), { bigint: true }).catch(() => null);
  return found === null ? null : `inode ${found.dev}:${found.ino}`;
}

function folded(name: Uint8Array): string {
  return `name ${Buffer.from(name).toString("utf8").normalize("NFD").toUpperCase()}`;
}

function swapCase(name: Buffer): Buffer {
  return Buffer.from(name.map((byte) => (/[a-z]/iu.test(String.fromCharCode(byte)) ? byte ^ 0x20 : byte)));
}
