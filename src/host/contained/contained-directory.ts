import type { BigIntStats } from "node:fs";
import { lstat, mkdir, readlink } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import { HeldDirectory } from "./held-directory.ts";

/** MAXSYMLINKS of Linux. */
const maximumLinks = 40;
/** How often something that was just looked at may have become something else before it is given up. */
const maximumChanges = 100;

/** A path leads out of the directory that it is about. */
export class OutsideError extends Error {}

/** A name in a directory that is held; `.` for the directory itself. */
export interface Place {
  readonly directory: HeldDirectory;
  readonly name: string;
  /** For the calls of Node. */
  readonly path: Buffer;
  /** The names of the directories from the root to `directory`, without links. */
  readonly within: readonly string[];
}

export interface LocateOptions {
  /** Whether a link that has the last name is followed. */
  readonly follow: boolean;
  /** Directories on the way that are missing are made, with mode 0755. */
  readonly makeParents?: boolean;
}

/**
 * Looks a path up below a directory as the kernel would, except that nothing leads out: neither `..` nor a link. Each part is
 * opened by its name in the one before and no link is followed by the kernel, so somebody who renames and replaces what is there
 * meanwhile changes what is found, but not that it is inside (see {@link HeldDirectory}).
 *
 * @param root path of the directory
 * @param path below it; a leading `/` means the directory itself
 * @returns where it is, whether or not there is anything; its directory is to be closed
 * @throws OutsideError; what the system reports
 */
export async function locate(root: string, path: string, options: LocateOptions): Promise<Place> {
  const walk = new Walk(await HeldDirectory.openItself(root), partsOf(path));
  try {
    return await walk.run(options);
  } catch (error) {
    await walk.close();
    throw error;
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

class Walk {
  /** The directories from the root to where it is. */
  readonly #directories: HeldDirectory[];
  /** The names of all but the root. */
  readonly #names: string[] = [];
  /** What is still to be looked up, the next one last. */
  readonly #pending: string[];
  #links = 0;
  #changes = 0;

  constructor(root: HeldDirectory, parts: readonly string[]) {
    this.#directories = [root];
    this.#pending = [...parts].reverse();
  }

  async run({ follow, makeParents = false }: LocateOptions): Promise<Place> {
    for (let name = this.#pending.pop(); name !== undefined; name = this.#pending.pop()) {
      const isLast = this.#pending.length === 0;
      if (name === "..") {
        await this.#up();
        continue;
      }
      if (isLast && !follow) return await this.#end(name);
      const path = this.#here.at(name);
      const status = await statusOf(path);
      if (status === null && !isLast && makeParents) await mkdir(path, 0o755).catch(unlessThere);
      if (status?.isSymbolicLink() === true) await this.#follow(name, path);
      else if (isLast) return await this.#end(name);
      else await this.#down(name, path);
    }
    return await this.#end(".");
  }

  async close(): Promise<void> {
    await Promise.all(this.#directories.splice(0).map((directory) => directory.close()));
  }

  get #here(): HeldDirectory {
    const here = this.#directories.at(-1);
    if (here === undefined) throw new Error("the walk is over");
    return here;
  }

  async #up(): Promise<void> {
    if (this.#directories.length === 1) throw new OutsideError("the path leads out of it");
    this.#names.pop();
    await this.#directories.pop()?.close();
  }

  async #down(name: string, path: Buffer): Promise<void> {
    try {
      this.#directories.push(await HeldDirectory.openItself(path));
      this.#names.push(name);
    } catch (error) {
      // It has become a link since it was looked at.
      const isLink = (await statusOf(path))?.isSymbolicLink() === true;
      if (!isLink || ++this.#changes > maximumChanges) throw error;
      this.#pending.push(name);
    }
  }

  async #follow(name: string, path: Buffer): Promise<void> {
    let target: string;
    try {
      target = await readlink(path);
    } catch (error) {
      // EINVAL: it is no link any more.
      if (errorCode(error) !== "EINVAL" || ++this.#changes > maximumChanges) throw error;
      this.#pending.push(name);
      return;
    }
    if (target.startsWith("/")) throw new OutsideError("a link on the path leads out of it");
    this.#links += 1;
    if (this.#links > maximumLinks)
      throw Object.assign(new Error("ELOOP: too many symbolic links encountered"), { code: "ELOOP" });
    this.#pending.push(...partsOf(target).reverse());
  }

  /** Keeps the directory that it is in, and closes those above. */
  async #end(name: string): Promise<Place> {
    const directory = this.#here;
    this.#directories.pop();
    await this.close();
    return { directory, name, path: directory.at(name), within: this.#names };
  }
}

/** @returns null when there is nothing. Of the name itself, never of what it leads to. */
export async function statusOf(path: Buffer): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** For mkdir(2): that there is something already is no failure. What it is shows when it is used. */
export function unlessThere(error: unknown): void {
  if (errorCode(error) !== "EEXIST") throw error;
}
