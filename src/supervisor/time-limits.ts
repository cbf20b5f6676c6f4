import { Deadline } from "../host/deadline.ts";

export interface TimeLimitsOptions {
  readonly maxDurationSecs: number | null;
  readonly idleTimeoutSecs: number | null;
  readonly expired: (reason: "MaxDurationExceeded" | "IdleTimeout") => void;
}

/**
 * Ends a sandbox that has run long enough (`maxDuration`), or in which no command has run for a while (`idleTimeout`). The start
 * of a command counts as activity, and so do its output, its end, and `touch()`; `ping()` and metrics do not. While a command
 * runs, or something is done about a file, the sandbox is not idle, however silent that is. What commands leave in the background counts for nothing.
 */
export class TimeLimits {
  readonly #idleTimeoutMs: number | null;
  readonly #maximum: Deadline;
  readonly #idle: Deadline;
  #activeSessions = 0;
  #activities = 0;

  constructor(options: TimeLimitsOptions) {
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

  /** Starts the idle time anew. @returns how many activities there have been */
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
