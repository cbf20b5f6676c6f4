/** In ms, from any beginning. */
export interface Clock {
  now(): number;
  schedule(delay: number, callback: () => void): Scheduled;
}

export interface Scheduled {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(delay, callback) {
    // The supervisor lives on other things.
    const timer = setTimeout(callback, delay).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Whoever waits for a moment. */
export interface Waiting {
  /** When it wants to be called; Infinity: never. Set by {@link Deadlines.arm}. */
  deadline: number;
  expired(now: number): void;
}

/** In ms: nothing here needs to be more exact, and one waking serves all that fall due together. */
const granularity = 10;

/**
 * One timer for all connections. Who does not wait for anything is not in it: an idle connection costs nothing. A deadline that moves
 * back, as with every acknowledgment, only changes a field: whoever is called too early asks again.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #timer: Scheduled | null = null;
  #wakeAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls at `at`, at the latest; earlier ones of the same stay. */
  arm(waiting: Waiting, at: number): void {
    if (at >= waiting.deadline) return;
    waiting.deadline = at;
    this.#waiting.add(waiting);
    if (at < this.#wakeAt) this.#wake(at);
  }

  forget(waiting: Waiting): void {
    waiting.deadline = Infinity;
    if (this.#waiting.delete(waiting) && this.#waiting.size === 0) this.close();
  }

  /** Calls nobody any more, until somebody comes again. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#wakeAt = Infinity;
    this.#waiting.clear();
  }

  #wake(at: number): void {
    this.#timer?.cancel();
    this.#wakeAt = at;
    const delay = Math.max(at - this.#clock.now(), granularity);
    this.#timer = this.#clock.schedule(delay, () => this.#ring());
  }

  #ring(): void {
    this.#timer = null;
    // Nobody who is armed meanwhile starts a timer: it is done below.
    this.#wakeAt = -Infinity;
    const now = this.#clock.now();
    for (const waiting of [...this.#waiting]) {
      if (waiting.deadline > now) continue;
      waiting.deadline = Infinity;
      this.#waiting.delete(waiting);
      waiting.expired(now);
    }
    let next = Infinity;
    for (const { deadline } of this.#waiting) next = Math.min(next, deadline);
    this.#wakeAt = Infinity;
    if (next < Infinity) this.#wake(next);
  }
}
