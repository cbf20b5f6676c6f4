type Work = (signal: AbortSignal) => Promise<void>;

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

  end(): void {
    this.#abort.abort(new Error("the sandbox has ended"));
  }

  #run(work: Work): void {
    const { signal } = this.#abort;
    this.#last = this.#last.then(() => (signal.aborted ? undefined : work(signal))).catch(this.#failed);
  }
}
