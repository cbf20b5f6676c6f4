import { orTimeout } from "../host/or-timeout.ts";
import type { BackgroundJob } from "../start/common/context.ts";

/** How long the end waits for a job that does not stop, such as bringing a file to a slow disk, ms. */
const longestEndMs = 2_000;

/** What is done once the sandbox runs, one after the other, and given up when it ends. */
export class BackgroundJobs {
  readonly #abort = new AbortController();
  readonly #failed: (error: unknown) => void;
  readonly #waiting: BackgroundJob[] = [];
  #last: Promise<void> = Promise.resolve();
  #isStarted = false;

  /** @param failed told why something was not done */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  add(job: BackgroundJob): void {
    if (this.#isStarted) this.#run(job);
    else this.#waiting.push(job);
  }

  start(): void {
    this.#isStarted = true;
    for (const job of this.#waiting.splice(0)) this.#run(job);
  }

  /** Gives up what is not done. @returns once nothing is under way that would leave a lock behind, or could not be stopped */
  async end(longestMs = longestEndMs): Promise<void> {
    this.#abort.abort(new Error("the sandbox has ended"));
    await orTimeout(this.#last, longestMs);
  }

  #run(job: BackgroundJob): void {
    const { signal } = this.#abort;
    this.#last = this.#last
      .then(() => (signal.aborted ? undefined : job(signal)))
      .catch((error: unknown) => {
        // Being given up is no failure.
        if (!signal.aborted) this.#failed(error);
      });
  }
}
