type Work = (signal: AbortSignal) => Promise<void>;

/** How long the end waits for work that does not stop, such as bringing a file to a slow disk, ms. */
const longestEndMs = 2_000;

/** What is done once the sandbox runs, one after the other, and given up when it ends. */
export class Afterwards {
  readonly #abort = new AbortController();
  readonly #failed: (error: unknown) => void;
  readonly #waiting: Work[] = [];
  #last: Promise<void> = Promise.resolve();
  #begun = false;

  /** @param failed told why something was not done */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  add(work: Work): void {
    if (this.#begun) this.#run(work);
    else this.#waiting.push(work);
  }

  begin(): void {
    this.#begun = true;
    for (const work of this.#waiting.splice(0)) this.#run(work);
  }

  /** Gives up what is not done. @returns once nothing is under way that would leave a lock behind, or could not be stopped */
  async end(longestMs = longestEndMs): Promise<void> {
    this.#abort.abort(new Error("the sandbox has ended"));
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, longestMs);
    await Promise.race([this.#last, late.promise]);
    clearTimeout(timer);
  }

  #run(work: Work): void {
    const { signal } = this.#abort;
    this.#last = this.#last
      .then(() => (signal.aborted ? undefined : work(signal)))
      .catch((error: unknown) => {
        // Being given up is no failure.
        if (!signal.aborted) this.#failed(error);
      });
  }
}
