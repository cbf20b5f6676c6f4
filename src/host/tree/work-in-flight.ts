/**
 * Work that goes on in the background, so many pieces at a time. The first error that a piece ends with is told to whoever comes next.
 */
export class WorkInFlight {
  readonly #atOnce: number;
  #running = 0;
  #error: unknown;
  #failed = false;
  #wake: (() => void) | null = null;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Waits until one more may begin. @throws what an earlier one has failed with */
  async room(): Promise<void> {
    while (this.#running >= this.#atOnce) await this.#change();
    this.throwIfFailed();
  }

  /** Begins one more, for which there is room. */
  start(work: () => Promise<void>): void {
    this.#running++;
    void this.#run(work);
  }

  /** Waits for all of them, whatever becomes of them. */
  async settled(): Promise<void> {
    while (this.#running > 0) await this.#change();
  }

  throwIfFailed(): void {
    if (this.#failed) throw this.#error;
  }

  async #run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#failed) this.#error = error;
      this.#failed = true;
    } finally {
      this.#running--;
      this.#wake?.();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
