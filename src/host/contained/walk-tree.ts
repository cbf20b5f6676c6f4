import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, type BigIntStats } from "node:fs";
import { descriptorPrefix } from "./held-directory.ts";

/** One of the directories above one another that are being walked through. */
interface Level {
  readonly name: Buffer;
  readonly dev: bigint;
  readonly ino: bigint;
  /** What is in it and still to be told of. */
  readonly names: Buffer[];
}

/** What was found in a tree. */
export interface Walked {
  readonly status: BigIntStats;
  /** Not so for a further name of a file that was told of already. */
  readonly isFirstName: boolean;
}

const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Tells of all that is in a directory, at every depth. Somebody else has made the tree, and may change it meanwhile: links are not
 * followed, names are any bytes, it is as deep as it likes, and what cannot be read, or is gone, is left out. Two directories are
 * open at most.
 *
 * The calls are synchronous, some microseconds each: through Node's thread pool they take ten times as long. Whoever has other
 * things to do goes on with it a little at a time.
 *
 * @throws the system's error when the directory itself cannot be opened
 */
export function* walkTree(directory: string): Generator<Walked> {
  const walk = new Walk(openSync(directory, flags));
  try {
    yield* walk.run();
  } finally {
    walk.close();
  }
}

class Walk {
  readonly #top: number;
  readonly #levels: Level[] = [];
  /** The directory that is looked at. */
  #fd: number;
  /** Of the paths of what is in it. */
  #prefix: Buffer;
  /** Files with several names that were told of. */
  readonly #told = new Set<string>();

  constructor(top: number) {
    this.#top = top;
    this.#fd = top;
    this.#prefix = Buffer.from(descriptorPrefix(top));
  }

  *run(): Generator<Walked> {
    this.#enter(Buffer.from("."));
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) {
        this.#leave();
        continue;
      }
      const status = this.#statusOf(name);
      if (status === undefined) continue;
      yield { status, isFirstName: this.#isFirstName(status) };
      const fd = status.isDirectory() ? this.#tryOpen(name) : -1;
      if (fd < 0) continue;
      this.#go(fd);
      this.#enter(name);
    }
  }

  close(): void {
    this.#go(this.#top);
    closeSync(this.#top);
  }

  #enter(name: Buffer): void {
    const { dev, ino } = fstatSync(this.#fd, { bigint: true });
    this.#levels.push({ name, dev, ino, names: this.#names() });
  }

  #isFirstName(status: BigIntStats): boolean {
    if (status.nlink <= 1n || status.isDirectory()) return true;
    const identity = `${status.dev}:${status.ino}`;
    if (this.#told.has(identity)) return false;
    this.#told.add(identity);
    return true;
  }

  #leave(): void {
    this.#levels.pop();
    const above = this.#levels.at(-1);
    if (above === undefined || this.#goTo(Buffer.from(".."), above)) return;
    // It was moved meanwhile, or may not be gone through: down again from the top, as far as all is as it was.
    this.#go(this.#top);
    const lost = this.#levels.findIndex((level, depth) => depth > 0 && !this.#goTo(level.name, level));
    if (lost > 0) this.#levels.length = lost;
  }

  /** @returns whether it is this very directory; otherwise nothing has changed */
  #goTo(name: Buffer, { dev, ino }: Level): boolean {
    const next = this.#tryOpen(name);
    if (next < 0) return false;
    const status = fstatSync(next, { bigint: true });
    if (status.dev !== dev || status.ino !== ino) {
      closeSync(next);
      return false;
    }
    this.#go(next);
    return true;
  }

  #go(fd: number): void {
    if (this.#fd !== this.#top) closeSync(this.#fd);
    this.#fd = fd;
    this.#prefix = Buffer.from(descriptorPrefix(fd));
  }

  #names(): Buffer[] {
    try {
      return readdirSync(this.#prefix, { encoding: "buffer" });
    } catch {
      return [];
    }
  }

  #statusOf(name: Buffer): BigIntStats | undefined {
    try {
      return lstatSync(this.#at(name), { bigint: true, throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  }

  /** @returns -1 when it cannot be opened */
  #tryOpen(name: Buffer): number {
    try {
      return openSync(this.#at(name), flags);
    } catch {
      return -1;
    }
  }

  #at(name: Buffer): Buffer {
    return Buffer.concat([this.#prefix, name]);
  }
}
