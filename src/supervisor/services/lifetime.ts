import { Deadline } from "../../host/deadline.ts";

export interface LifetimeOptions {
  readonly maxDurationSecs: number | null;
  readonly idleTimeoutSecs: number | null;
  readonly expired: (reason: "MaxDurationExceeded" | "IdleTimeout") => void;
}

/** Ends a sandbox that has run long enough, or that nobody has used for a while. */
export class Lifetime {
  readonly #idleTimeoutMs: number | null;
  readonly #maximum: Deadline;
  readonly #idle: Deadline;
  #activeSessions = 0;
  #activities = 0;

  constructor(options: LifetimeOptions) {
    this.#idleTimeoutMs = options.idleTimeoutSecs === null ? null : options.idleTimeoutSecs * 1000;
    this.#maximum = new Deadline(() => {
      options.expired("MaxDurationExceeded");
    });
    this.#idle = new Deadline(() => {
      if (this.#activeSessions === 0) options.expired("IdleTimeout");
    });
    if (options.maxDurationSecs !== null) this.#maximum.set(options.maxDurationSecs * 1000);
    this.#restartIdle();
  }

  /** A request of a client or output of the guest. @returns how many there have been */
  activity(): number {
    this.#restartIdle();
    return ++this.#activities;
  }

  sessionStarted(): void {
    this.#activeSessions++;
    this.activity();
  }

  sessionEnded(): void {
    this.#activeSessions--;
    this.activity();
  }

  stop(): void {
    this.#maximum.cancel();
    this.#idle.cancel();
  }

  #restartIdle(): void {
    if (this.#idleTimeoutMs !== null) this.#idle.set(this.#idleTimeoutMs);
  }
}
