import type { LogLevel, PullProgress } from "../../api/index.ts";
import { isInterrupted, onInterruption } from "./interrupt.ts";
import { completionLine, warningLine } from "./blocks.ts";
import { PullDisplay } from "./pull-display.ts";
import { oneLine } from "./sanitize.ts";
import { err } from "./streams.ts";
import type { Styled } from "./style.ts";

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly logLevel: LogLevel | null;
}

export interface StageEvent {
  readonly stage: string;
  readonly elapsedMs: number;
}

interface Spinner {
  text: string;
  start(): unknown;
  stop(): unknown;
}

/**
 * Tells on stderr what takes time. On a terminal a spinner shows the present stage and disappears; elsewhere only
 * events that a reader of a log wants are written, and stages too when the log level is info or finer.
 */
export class Progress implements Disposable {
  readonly #quiet: boolean;
  readonly #verbose: boolean;
  readonly #startedAt = performance.now();
  #spinner: Spinner | null = null;
  #text = "";
  #registration: Disposable | null = null;
  #pull: PullDisplay | null = null;
  #closed = false;
  #sawStage = false;

  constructor(options: ProgressOptions) {
    this.#quiet = options.quiet;
    this.#verbose = options.logLevel !== null && ["info", "debug", "trace"].includes(options.logLevel);
  }

  /** Shows the spinner, on a terminal. */
  async start(text: string): Promise<void> {
    this.#text = text;
    if (this.#quiet || this.#verbose || !process.stderr.isTTY) return;
    const { default: yoctoSpinner } = await import("yocto-spinner");
    if (this.#closed || this.#spinner !== null || isInterrupted()) return;
    this.#registration = onInterruption(() => {
      this.clear();
    });
    this.#spinner = yoctoSpinner({
      text: oneLine(this.#text),
      stream: process.stderr,
      handleSignals: false,
    }).start();
  }

  /** Callbacks for the SDK's functions that start a sandbox. */
  get observer(): {
    onProgress(this: void, event: StageEvent): void;
    onNotice(this: void, message: string): void;
    onPullProgress(this: void, event: PullProgress): void;
  } {
    return {
      onProgress: (event) => {
        this.stage(event);
      },
      onNotice: (message) => {
        this.notice(message);
      },
      onPullProgress: (event) => {
        this.pull(event);
      },
    };
  }

  /** Whether a stage was reported: from then on there is a sandbox that this process started. */
  get sawStage(): boolean {
    return this.#sawStage;
  }

  /** Reports that a stage began. */
  stage(event: StageEvent): void {
    this.#sawStage = true;
    if (this.#spinner !== null) this.#spinner.text = oneLine(`${this.#text}: ${event.stage}`);
    else if (this.#verbose && !this.#quiet) err(`${(event.elapsedMs / 1000).toFixed(2)}s ${event.stage}\n`);
  }

  /** Shows how the pull of an image goes on, in the spinner's place when something is downloaded. */
  pull(event: PullProgress): void {
    if (this.#quiet || this.#closed) return;
    if (event.kind === "resolved" && event.totalDownloadBytes !== null) {
      this.#spinner?.stop();
      this.#pull?.clear();
      this.#pull = new PullDisplay(process.stderr);
    }
    this.#pull?.event(event);
    if (event.kind !== "complete" || this.#pull === null) return;
    this.#pull.clear();
    this.#pull = null;
    this.#spinner?.start();
  }

  /** Shows something the user should know, once, above the spinner. */
  notice(message: string): void {
    if (!this.#quiet) err(`${message}\n`);
  }

  warn(message: string): void {
    if (!this.#quiet) err(warningLine(message, process.stderr));
  }

  /** Takes the spinner away and says that it is done: `   ✓ Started      demo (1.2s)`. */
  done(verb: string, target: string): void {
    this.clear();
    if (!this.#quiet) err(this.#completion(true, verb, target));
  }

  /** As `done`, for a failure; the error itself follows from whoever reports it. */
  failed(verb: string, target: string): void {
    this.clear();
    if (!this.#quiet) err(this.#completion(false, verb, target));
  }

  /** Takes the spinner away. */
  clear(): void {
    this.#closed = true;
    this.#registration?.[Symbol.dispose]();
    this.#registration = null;
    this.#pull?.clear();
    this.#pull = null;
    this.#spinner?.stop();
    this.#spinner = null;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #completion(ok: boolean, verb: string, target: string): Styled {
    return completionLine(
      { ok, verb, target, durationMs: performance.now() - this.#startedAt },
      process.stderr,
    );
  }
}
