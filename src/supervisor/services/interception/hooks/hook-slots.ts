import { HookFailed } from "../../../../network/interception/interception.ts";

/** So many more than may be called at once may wait for it. */
const mostWaiting = 1_024;

interface Waiter {
  readonly begin: () => void;
  readonly fail: (error: HookFailed) => void;
}

/** How many functions of the program may be at work at once: a guest makes as many requests as it likes. */
export class HookSlots {
  #free: number;
  readonly #waiting = new Set<Waiter>();

  constructor(most: number) {
    this.#free = most;
  }

  /**
   * Waits for a place, which is to be given back.
   *
   * @param whenGone calls back when nobody waits any more
   * @throws HookFailed
   */
  async take(timeoutMs: number, whenGone: (gone: () => void) => () => void): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= mostWaiting)
      throw new HookFailed(503, "too many requests wait for the program of the sandbox");
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { begin: () => resolve(undefined), fail: reject };
    this.#waiting.add(waiter);
    const late = setTimeout(() => {
      reject(new HookFailed(504, "the program of the sandbox was busy with other requests for too long"));
    }, timeoutMs);
    const stay = whenGone(() => reject(new HookFailed(503, "nobody waits for the function any more")));
    try {
      await promise;
    } finally {
      this.#waiting.delete(waiter);
      clearTimeout(late);
      stay();
    }
  }

  giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else {
      this.#waiting.delete(next);
      next.begin();
    }
  }
}
