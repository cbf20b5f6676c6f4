import { Deadline } from "../../../host/deadline.ts";

export interface TimeLimitsOptions {
  readonly maxDurationSecs: number | null;
  readonly idleTimeoutSecs: number | null;
  readonly idlePauseSecs: number | null;
  readonly expired: (reason: "MaxDurationExceeded" | "IdleTimeout") => void;
  /** It has been idle for as long as it may run idly. */
  readonly idle: () => void;
  /** Whether somebody uses it in a way that no activity tells of. */
  readonly inUse: () => boolean;
}

/**
 * Ends a sandbox that has run long enough (`maxDuration`), or in which no command has run for a while (`idleTimeout`). The start
 * of a command counts as activity, and so do its output, its end, and `touch()`; `ping()` and metrics do not. While a command
 * runs, or something is done about a file, the sandbox is not idle, however silent that is. What commands leave in the background counts for nothing.
 * One that is to be paused when it is idle (`idlePause`) is not idle either while it is `inUse`.
 */
export class TimeLimits {
  readonly #options: TimeLimitsOptions;
  readonly #maximum: Deadline;
  readonly #idle: Deadline;
  readonly #pause: Deadline;
  #activeSessions = 0;
  #activities = 0;
  #isHeld = false;

  constructor(options: TimeLimitsOptions) {
    this.#options = options;
    this.#maximum = new Deadline(() => {
      options.expired("MaxDurationExceeded");
    });
    this.#idle = new Deadline(() => {
      if (this.#activeSessions === 0) options.expired("IdleTimeout");
    });
    this.#pause = new Deadline(() => {
      if (this.#activeSessions > 0) return;
      if (options.inUse()) this.#set(this.#pause, options.idlePauseSecs);
      else options.idle();
    });
    if (options.maxDurationSecs !== null) this.#maximum.set(options.maxDurationSecs * 1000);
    this.#restartIdle();
  }

  /** How many there have been. */
  get activities(): number {
    return this.#activities;
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

  /** Nothing is idle until {@link goOn}: it is held because somebody wants it so. */
  hold(): void {
    this.#isHeld = true;
    this.#idle.cancel();
    this.#pause.cancel();
  }

  /** It goes on, which counts as activity. */
  goOn(): void {
    this.#isHeld = false;
    this.activity();
  }

  stop(): void {
    this.#maximum.cancel();
    this.hold();
  }

  #restartIdle(): void {
    if (this.#isHeld) return;
    this.#set(this.#idle, this.#options.idleTimeoutSecs);
    this.#set(this.#pause, this.#options.idlePauseSecs);
  }

  #set(deadline: Deadline, secs: number | null): void {
    if (secs !== null) deadline.set(secs * 1000);
  }
}
