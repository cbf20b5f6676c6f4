import { mkdir } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import type { HeldDirectory } from "../contained/held-directory.ts";
import type { TreeEntry } from "./tree.ts";
import type { Twins } from "./twins.ts";

/** A directory that is being written. */
export class WrittenDirectory {
  readonly directory: HeldDirectory;
  /** Its path in the tree; empty for the place where the tree goes. */
  readonly path: Uint8Array;
  /** What it gets when all that is in it is written; null for one that was there, which stays as it is. */
  readonly entry: TreeEntry | null;
  readonly twins: Twins;
  #pending = 0;
  #idle: (() => void) | null = null;

  constructor(directory: HeldDirectory, path: Uint8Array, entry: TreeEntry | null, twins: Twins) {
    this.directory = directory;
    this.path = path;
    this.entry = entry;
    this.twins = twins;
  }

  /** Somebody writes in it. To be followed by `release()`. */
  hold(): void {
    this.#pending++;
  }

  release(): void {
    if (--this.#pending === 0) this.#idle?.();
  }

  /** Resolves when nobody writes in it any more. */
  async idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }
}

/**
 * Makes a directory, or takes one that is there.
 *
 * @returns it, and whether it was made; null when something else stands there, a link to a directory too
 * @throws the system's error
 */
export async function makeOrOpen(
  parent: HeldDirectory,
  name: Uint8Array,
): Promise<{ readonly directory: HeldDirectory; readonly made: boolean } | null> {
  let made = true;
  try {
    // Nobody else is to look into it before it has its mode.
    await mkdir(parent.at(name), 0o700);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    made = false;
  }
  try {
    return { directory: await parent.openChild(name), made };
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOTDIR" || code === "ELOOP") return null;
    throw error;
  }
}
