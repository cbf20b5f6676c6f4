import type { Operation } from "./operation.ts";

interface Current<T> {
  readonly result: Promise<T>;
  readonly over: AbortController;
  waiting: number;
}

/**
 * Something that many may ask for at the same time, done once for all who wait then. Each may give up by himself; when nobody waits
 * any more, it is given up too.
 */
export class SharedWork<T> {
  #current: Current<T> | null = null;

  /**
   * Waits for the work that is under way, or begins it.
   *
   * @param begin its signal is aborted when nobody waits any more
   * @throws what the work throws; why the operation is over
   */
  async wait(operation: Operation, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    operation.throwIfOver();
    const current = (this.#current ??= start(begin));
    current.waiting += 1;
    try {
      return await operation.wait(current.result);
    } finally {
      current.waiting -= 1;
      // Who asks later asks anew: what was found may not be so any more.
      if (current.waiting === 0) {
        current.over.abort();
        if (this.#current === current) this.#current = null;
      }
    }
  }
}

function start<T>(begin: (signal: AbortSignal) => Promise<T>): Current<T> {
  const over = new AbortController();
  return { result: begin(over.signal), over, waiting: 0 };
}
