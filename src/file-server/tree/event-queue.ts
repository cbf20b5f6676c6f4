import { readFileSync } from "node:fs";

/** What Linux has when nobody has changed it. */
const usual = 16_384;

/**
 * The system's queue of what happens in watched directories, one for each thread. It holds so many events and drops what is more
 * (inotify(7), IN_Q_OVERFLOW), which Node does not pass on. So whoever takes many of them at once may have missed some.
 */
export class EventQueue {
  readonly #many: number;
  readonly #missed = new Set<() => void>();
  #taken = 0;

  /** @param many events that are taken at once and make it likely that some were dropped */
  constructor(many = mostQueued() / 2) {
    this.#many = many;
  }

  /** @param missed called when events may have been dropped. @returns takes that back */
  listen(missed: () => void): () => void {
    this.#missed.add(missed);
    return () => this.#missed.delete(missed);
  }

  /** One was taken out. */
  took(): void {
    this.#taken++;
    if (this.#taken > 1) return;
    // Node empties the queue before it does anything else.
    setImmediate(() => {
      const isMany = this.#taken >= this.#many;
      this.#taken = 0;
      if (isMany) for (const missed of this.#missed) missed();
    });
  }
}

function mostQueued(): number {
  try {
    return Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8")) || usual;
  } catch {
    return usual;
  }
}
