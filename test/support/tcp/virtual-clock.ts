import type { Clock, Scheduled } from "../../../src/network/tcp/deadlines.ts";

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Time that passes when it is told to, and timers that ring in order. */
export class VirtualClock implements Clock {
  #now = 1000;
  #order = 0;
  readonly #entries = new Set<Entry>();

  now(): number {
    return this.#now;
  }

  get timers(): number {
    return this.#entries.size;
  }

  schedule(delay: number, callback: () => void): Scheduled {
    const entry: Entry = { at: this.#now + delay, order: this.#order++, callback };
    this.#entries.add(entry);
    return { cancel: () => void this.#entries.delete(entry) };
  }

  /** Lets time pass, in ms. */
  pass(time: number): void {
    const until = this.#now + time;
    for (;;) {
      const next = this.#next();
      if (next === null || next.at > until) break;
      this.#ring(next);
    }
    this.#now = until;
  }

  /** Goes on to the next timer. @returns false: there is none */
  skip(): boolean {
    const next = this.#next();
    if (next !== null) this.#ring(next);
    return next !== null;
  }

  #ring(entry: Entry): void {
    this.#entries.delete(entry);
    this.#now = Math.max(this.#now, entry.at);
    entry.callback();
  }

  #next(): Entry | null {
    let first: Entry | null = null;
    for (const entry of this.#entries)
      if (first === null || entry.at < first.at || (entry.at === first.at && entry.order < first.order))
        first = entry;
    return first;
  }
}
