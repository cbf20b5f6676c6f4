import { unlessAborted } from "./unless-aborted.ts";

/** So many at a time; the others wait for their turn, in the order in which they came. */
export class Slots {
  #free: number;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a slot. @returns gives it back @throws the signal's reason */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else {
      const turn = Promise.withResolvers<void>();
      this.#waiting.push(turn);
      try {
        await unlessAborted(turn.promise, signal);
      } catch (error) {
        const place = this.#waiting.indexOf(turn);
        if (place >= 0) this.#waiting.splice(place, 1);
        // It had been given to the one who has just gone.
        else this.#giveBack();
        throw error;
      }
    }
    return {
      [Symbol.dispose]: () => {
        this.#giveBack();
      },
    };
  }

  #giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next.resolve();
  }
}
