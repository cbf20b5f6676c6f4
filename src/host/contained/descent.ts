import type { BigIntStats } from "node:fs";
import { statusOf } from "./contained-directory.ts";
import { HeldDirectory } from "./held-directory.ts";

/** Where somebody has come from, by the way down. */
interface Above {
  readonly identity: string;
  /** How it was opened. */
  readonly path: Buffer;
}

/**
 * Goes down in a tree and up again with one directory open, however deep it is: who has made the tree may have made it deeper than a
 * process may have files open. Up is the directory's own `..`, and only if that is where it came from.
 */
export class Descent implements AsyncDisposable {
  readonly #above: Above[] = [];
  #here: HeldDirectory;
  #identity: string;

  private constructor(here: HeldDirectory, identity: string) {
    this.#here = here;
    this.#identity = identity;
  }

  /** @throws what the system reports: ENOTDIR or ELOOP when it is no directory */
  static async open(path: string | Buffer): Promise<Descent> {
    const here = await HeldDirectory.openItself(path);
    try {
      return new Descent(here, await identityAt(here.at()));
    } catch (error) {
      await here.close();
      throw error;
    }
  }

  /** The directory that it is in, until it goes on. */
  get here(): HeldDirectory {
    return this.#here;
  }

  /** Tells that directory from others. */
  get identity(): string {
    return this.#identity;
  }

  /** Into a directory here. @throws what the system reports, of one from which there is no way up too; it stays where it is then */
  async down(name: Buffer): Promise<void> {
    const inner = await HeldDirectory.openItself(this.#here.at(name));
    const above = { identity: this.#identity, path: this.#here.itself };
    let identity: string;
    try {
      identity = await identityAt(inner.at());
      if ((await identityAt(inner.at(".."))) !== above.identity) throw moved();
    } catch (error) {
      await inner.close();
      throw error;
    }
    await this.#here.close();
    this.#above.push(above);
    this.#here = inner;
    this.#identity = identity;
  }

  /**
   * To the directory above.
   *
   * @returns the one that was left, to be closed
   * @throws what the system reports; ESTALE when somebody has moved it away. It stays where it is then
   */
  async up(): Promise<HeldDirectory> {
    const above = this.#above.at(-1);
    if (above === undefined) throw new Error("it is at the top");
    // Where directories are reached by their paths, more and more `..` would make those too long.
    const outer = await HeldDirectory.openItself(
      process.platform === "linux" ? this.#here.at("..") : above.path,
    );
    try {
      if ((await identityAt(outer.at())) !== above.identity) throw moved();
    } catch (error) {
      await outer.close();
      throw error;
    }
    const left = this.#here;
    this.#above.pop();
    this.#here = outer;
    this.#identity = above.identity;
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#here.close();
  }
}

async function identityAt(path: Buffer): Promise<string> {
  const status: BigIntStats | null = await statusOf(path);
  if (status === null) throw moved();
  return `${status.dev}:${status.ino}`;
}

function moved(): Error {
  return Object.assign(new Error("ESTALE: a directory was moved or removed meanwhile"), { code: "ESTALE" });
}
