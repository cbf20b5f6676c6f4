import { stat } from "node:fs/promises";
import type { BigIntStats } from "node:fs";

/**
 * A file that was written a shorter time ago, ms, may be written again without a trace: the clocks of file systems have grains, of 2 s
 * at the most.
 */
const grainMs = 3000;

interface Known<T> {
  readonly stats: BigIntStats;
  readonly value: T;
  /** By whose count of lists it was asked for last. */
  turn: number;
}

/** What was made of files. It is made anew when a file is another one, or was written since. */
export class KnownFiles<T> {
  readonly #make: (path: string) => Promise<T>;
  readonly #known = new Map<string, Known<T>>();
  #turn = 0;

  /** @param make reads a file */
  constructor(make: (path: string) => Promise<T>) {
    this.#make = make;
  }

  /** @throws what `make` throws */
  async read(path: string): Promise<T> {
    // Before it is read: what is written meanwhile is seen the next time.
    const stats = await stat(path, { bigint: true }).catch(() => null);
    const before = this.#known.get(path);
    if (stats !== null && before !== undefined && isSame(stats, before.stats)) {
      before.turn = this.#turn;
      return before.value;
    }
    const value = await this.#make(path);
    if (stats !== null && isSettled(stats)) this.#known.set(path, { stats, value, turn: this.#turn });
    else this.#known.delete(path);
    return value;
  }

  /** Forgets the files that nobody has asked for since the last call. */
  forgetOthers(): void {
    for (const [path, { turn }] of this.#known) if (turn < this.#turn) this.#known.delete(path);
    this.#turn++;
  }
}

/** Every write changes the time of the last change (ctime), which nobody can set. */
function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.ctimeNs === b.ctimeNs;
}

function isSettled({ ctimeMs }: BigIntStats): boolean {
  return Date.now() - Number(ctimeMs) > grainMs;
}
