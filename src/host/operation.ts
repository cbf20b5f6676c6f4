import { MicrosandboxError, OperationTimeoutError } from "../errors/index.ts";
import { checkCallOptions, type OtherOptions, type WaitOptions } from "./call-options.ts";
import { longestTimerMs } from "./timers.ts";
import { unlessAborted } from "./unless-aborted.ts";

export type { WaitOptions };

/** Of more than so many lines of a log, the oldest go. */
const mostLines = 200;

/**
 * One call that a caller waits for, from its beginning to its end: whether it may go on, how much time is left, and what has been
 * done so far. It is handed down to everything that the call does, and when the call fails, the error has its log.
 *
 * @example
 * ```ts
 * const text = await Operation.run("read the settings", { timeoutMs: 1000 }, async (operation) => {
 *   operation.log(`reading ${path}`);
 *   return await operation.wait(readFile(path, "utf8"));
 * });
 * ```
 */
export class Operation {
  /** What the caller asked for, in a few words: `stop sandbox demo`. */
  readonly name: string;
  /** Aborted when the caller does not want it any more, or its time is over. */
  readonly signal: AbortSignal;
  readonly #startedAt = performance.now();
  #endsAt: number;
  readonly #expire: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** How many pieces of work under way are not counted. */
  #uncounted = 0;
  readonly #lines: string[] = [];
  #dropped = 0;

  private constructor(name: string, signal: AbortSignal, timeoutMs: number | undefined, expire: () => void) {
    this.name = name;
    this.signal = signal;
    this.#endsAt = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    this.#expire = expire;
    this.#arm();
  }

  /**
   * Does something that a caller waits for.
   *
   * @param name in a few words, for errors
   * @param options as the caller gave them
   * @param work is handed the operation; whatever it waits for must end when the operation's signal is aborted
   * @param others what the options may hold beside those of waiting
   * @returns what `work` returns
   * @throws OperationTimeoutError when `timeoutMs` is over; the signal's reason; InvalidConfigError for options that are none;
   *   what `work` throws, an error of this package with the log of what was done
   */
  static async run<T>(
    name: string,
    options: WaitOptions,
    work: (operation: Operation) => Promise<T>,
    others: OtherOptions = {},
  ): Promise<T> {
    checkCallOptions(name, options, others);
    const { signal, timeoutMs } = options;
    const over = new AbortController();
    const expire = (): void => {
      const message = `${name} took longer than ${String(timeoutMs)} ms`;
      over.abort(new OperationTimeoutError(message, { operation: name, timeoutMs: timeoutMs ?? 0 }));
    };
    const operation = new Operation(name, over.signal, timeoutMs, expire);
    const abort = (): void => {
      over.abort(signal?.reason);
    };
    try {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", abort, { once: true });
      if (timeoutMs === 0) expire();
      operation.throwIfOver();
      return await work(operation);
    } catch (error) {
      // What was cut short says less than why it was, unless it says that too.
      const saysWhy = error instanceof Error && error.cause === over.signal.reason;
      const told: unknown = over.signal.aborted && !saysWhy ? over.signal.reason : error;
      if (told instanceof MicrosandboxError) told.addLog(operation.lines());
      throw told;
    } finally {
      clearTimeout(operation.#timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** ms until its time is over, 0 when it is; Infinity when there is no limit. */
  get leftMs(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  /** Does something whose time does not count, because nobody knows how much there is to do. It has to see to its own end. */
  async uncounted<T>(work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    clearTimeout(this.#timer);
    this.#uncounted += 1;
    try {
      return await work();
    } finally {
      this.#uncounted -= 1;
      if (this.#uncounted === 0) {
        this.#endsAt += performance.now() - begin;
        this.#arm();
      }
    }
  }

  /** A time that is over already is seen to by whoever makes the operation. */
  #arm(): void {
    const { leftMs } = this;
    if (leftMs > 0 && leftMs <= longestTimerMs) this.#timer = setTimeout(this.#expire, Math.ceil(leftMs));
  }

  /** Notes what is being done now, with the time since the beginning. */
  log(line: string): void {
    this.#lines.push(`+${Math.round(performance.now() - this.#startedAt)} ms ${line}`);
    if (this.#lines.length <= mostLines) return;
    this.#lines.shift();
    this.#dropped += 1;
  }

  /** What was done so far, a line each, the oldest first. */
  lines(): readonly string[] {
    return this.#dropped === 0
      ? [...this.#lines]
      : [`(${this.#dropped} earlier lines are left out)`, ...this.#lines];
  }

  /** @throws the reason, when it is not to go on */
  throwIfOver(): void {
    this.signal.throwIfAborted();
  }

  /** Waits for something, but not longer than the operation may last. @throws its error; the reason why it is over */
  async wait<T>(promise: Promise<T>): Promise<T> {
    return await unlessAborted(promise, this.signal);
  }
}
