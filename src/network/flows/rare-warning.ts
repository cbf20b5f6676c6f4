/** What is warned of again before so long is only counted. */
const quietMs = 60_000;

/** Warns of what a guest can bring about as often as it likes: once a minute, with how many more there were since the last time. */
export class RareWarning {
  readonly #warn: (message: string) => void;
  readonly #now: () => number;
  #toldAt = Number.NEGATIVE_INFINITY;
  #held = 0;

  constructor(warn: (message: string) => void, now: () => number = performance.now.bind(performance)) {
    this.#warn = warn;
    this.#now = now;
  }

  tell(message: string): void {
    const now = this.#now();
    if (now - this.#toldAt < quietMs) {
      this.#held++;
      return;
    }
    this.#toldAt = now;
    this.#warn(this.#held === 0 ? message : `${message} (and ${this.#held} more since the last warning)`);
    this.#held = 0;
  }
}
