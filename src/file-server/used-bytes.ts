import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, type BigIntStats } from "node:fs";
import { fileBytes } from "./quota.ts";

/** One of the directories above one another that are being walked through. */
interface Level {
  readonly name: Buffer;
  readonly dev: bigint;
  readonly ino: bigint;
  /** Directories in it that are still to be walked through. */
  readonly names: Buffer[];
}

const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * What a directory holds, as a {@link Quota} counts it. Links are not followed. A guest has made it: names are any bytes, it is as
 * deep as it likes, and what cannot be read, or is gone meanwhile, is not counted.
 *
 * @throws the system's error when the directory itself cannot be opened
 */
export function usedBytes(directory: string): number {
  const walk = new Walk(openSync(directory, flags));
  try {
    return walk.run();
  } finally {
    walk.close();
  }
}

/** Two directories are open at most: the top, and the one that is looked at. */
class Walk {
  readonly #top: number;
  readonly #levels: Level[] = [];
  #fd: number;
  #bytes = 0;
  /** Files with several names that were counted: each has its content once. */
  readonly #counted = new Set<string>();

  constructor(top: number) {
    this.#top = top;
    this.#fd = top;
  }

  run(): number {
    this.#enter(Buffer.from("."));
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) this.#leave();
      else {
        const fd = tryOpen(this.#fd, name);
        if (fd < 0) continue;
        this.#go(fd);
        this.#enter(name);
      }
    }
    return this.#bytes;
  }

  close(): void {
    this.#go(this.#top);
    closeSync(this.#top);
  }

  #enter(name: Buffer): void {
    const { dev, ino } = fstatSync(this.#fd, { bigint: true });
    const names: Buffer[] = [];
    for (const entry of entriesOf(this.#fd)) {
      const stat = statOf(this.#fd, entry);
      if (stat === undefined) continue;
      this.#bytes += fileBytes;
      if (stat.isDirectory()) names.push(entry);
      else if (this.#isFirstName(stat)) this.#bytes += Number(stat.size);
    }
    this.#levels.push({ name, dev, ino, names });
  }

  #isFirstName({ dev, ino, nlink }: BigIntStats): boolean {
    if (nlink <= 1n) return true;
    const identity = `${dev}:${ino}`;
    if (this.#counted.has(identity)) return false;
    this.#counted.add(identity);
    return true;
  }

  #leave(): void {
    this.#levels.pop();
    const above = this.#levels.at(-1);
    if (above === undefined) return;
    if (this.#goTo(Buffer.from(".."), above)) return;
    // It was moved meanwhile, or may not be gone through: down again from the top, as far as all is as it was.
    this.#go(this.#top);
    const lost = this.#levels.findIndex((level, depth) => depth > 0 && !this.#goTo(level.name, level));
    if (lost > 0) this.#levels.length = lost;
  }

  /** @returns whether it is this very directory; otherwise nothing has changed */
  #goTo(name: Buffer, { dev, ino }: Level): boolean {
    const next = tryOpen(this.#fd, name);
    if (next < 0) return false;
    const stat = fstatSync(next, { bigint: true });
    if (stat.dev === dev && stat.ino === ino) this.#go(next);
    else closeSync(next);
    return this.#fd === next;
  }

  #go(fd: number): void {
    if (this.#fd !== this.#top) closeSync(this.#fd);
    this.#fd = fd;
  }
}

function pathIn(fd: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}

function entriesOf(fd: number): Buffer[] {
  try {
    return readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" });
  } catch {
    return [];
  }
}

function statOf(fd: number, name: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(pathIn(fd, name), { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** @returns -1 when it cannot be opened */
function tryOpen(fd: number, name: Buffer): number {
  try {
    return openSync(pathIn(fd, name), flags);
  } catch {
    return -1;
  }
}
