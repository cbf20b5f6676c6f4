import { longestTimerMs } from "./timers.ts";

/** Calls `action` once, `ms` from now, unless it is cancelled or moved before. */
export class Deadline {
  readonly #action: () => void;
  #timer: NodeJS.Timeout | null = null;
  #at = 0;

  constructor(action: () => void) {
    this.#action = action;
  }

  set(ms: number): void {
    this.#at = performance.now() + ms;
    this.#timer ??= this.#arm();
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  // Moving a deadline later, as every activity does, costs nothing: the timer looks again when it fires.
  #arm(): NodeJS.Timeout {
    const remaining = Math.max(0, this.#at - performance.now());
    return setTimeout(
      () => {
        this.#timer = null;
        if (performance.now() < this.#at - 1) this.#timer = this.#arm();
        else this.#action();
      },
      Math.min(remaining, longestTimerMs),
    );
  }
}
