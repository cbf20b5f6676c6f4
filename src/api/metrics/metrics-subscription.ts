import { MicrosandboxError, RuntimeError, type MicrosandboxErrorCode } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { MetricsMessage } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import type { SupervisorConnection } from "../control/connection.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { metricsFrom, type MetricsSource, type SandboxMetrics } from "./metrics.ts";

/** The sandbox whose metrics were asked for is there no more. */
const endsMetrics: readonly MicrosandboxErrorCode[] = [
  "sandboxNotRunning",
  "sandboxNotFound",
  "sandboxReplaced",
];

/** Whose metrics they are. */
export type MetricsOwner = Pick<SandboxControl, "requireMetrics" | "borrow" | "explainLoss">;

/** Samples that the supervisor takes at an interval. Each is taken when it is asked for, if it is time, and else when it is. */
export class MetricsSubscription implements MetricsSource {
  readonly #control: MetricsOwner;
  readonly #intervalMs: number;
  #stream: Stream | null = null;
  /** There while there is a stream, or somebody waits for one. */
  #borrowed: BorrowedConnection | null = null;
  /** Ends the wait of the one who waits. */
  #waiting: AbortController | null = null;
  #waiter: PromiseWithResolvers<MetricsMessage> | null = null;
  /** Whether the supervisor has been asked for a sample that has not come. */
  #asked = false;
  /** A sample that came when the one who had asked for it waited no more. */
  #kept: MetricsMessage | null = null;
  #closed = false;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param intervalMs 0 is taken for 1 */
  constructor(control: MetricsOwner, intervalMs: number) {
    this.#control = control;
    this.#intervalMs = Math.max(1, Math.ceil(intervalMs));
  }

  async next(signal: AbortSignal): Promise<SandboxMetrics | null> {
    const waiting = new AbortController();
    const giveUp = (): void => {
      waiting.abort(signal.reason);
    };
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    this.#waiting = waiting;
    try {
      if (this.#closed) return null;
      this.#control.requireMetrics();
      return metricsFrom(await this.#control.explainLoss(this.#next(waiting.signal)));
    } catch (error) {
      if (this.#closed) return null;
      if (error instanceof MicrosandboxError && endsMetrics.includes(error.code)) return null;
      throw error;
    } finally {
      this.#waiting = null;
      signal.removeEventListener("abort", giveUp);
      if (this.#stream === null) this.#giveBack();
    }
  }

  close(): void {
    this.#closed = true;
    const reason = new RuntimeError("nobody waits for samples any more");
    this.#waiting?.abort(reason);
    this.#stream?.abort(reason);
    this.#stream = null;
    this.#giveBack();
  }

  #giveBack(): void {
    this.#borrowed?.[Symbol.dispose]();
    this.#borrowed = null;
  }

  async #next(signal: AbortSignal): Promise<MetricsMessage> {
    signal.throwIfAborted();
    const kept = this.#kept;
    this.#kept = null;
    if (kept !== null) return kept;
    this.#borrowed ??= await Operation.run("connect to sandbox", { signal }, (operation) =>
      this.#control.borrow(operation),
    );
    signal.throwIfAborted();
    return await this.#wait(this.#borrowed.connection, signal);
  }

  async #wait(connection: SupervisorConnection, signal: AbortSignal): Promise<MetricsMessage> {
    const waiter = Promise.withResolvers<MetricsMessage>();
    this.#waiter = waiter;
    signal.addEventListener("abort", () => {
      // At once: a sample that comes from now on is kept for the next one who asks.
      this.#waiter = null;
      waiter.reject(signal.reason);
    });
    const release = connection.hold();
    let timer: NodeJS.Timeout | undefined;
    try {
      // A subscription that has failed is made anew, which must not make it faster.
      const waitMs = this.#askedAt + this.#intervalMs - performance.now();
      if (this.#stream !== null || waitMs <= 0) this.#ask(connection);
      else {
        timer = setTimeout(() => {
          this.#ask(connection);
        }, waitMs);
      }
      return await waiter.promise;
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  /** Asks for a sample, unless one is on its way already. */
  #ask(connection: SupervisorConnection): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#askedAt = performance.now();
    if (this.#stream !== null) {
      this.#stream.send({ type: "Next" });
      return;
    }
    try {
      this.#stream = this.#open(connection);
    } catch (error) {
      this.#asked = false;
      this.#waiter?.reject(error);
    }
  }

  #open(connection: SupervisorConnection): Stream {
    const fail = (error: Error): void => {
      this.#stream = null;
      this.#asked = false;
      this.#waiter?.reject(error);
    };
    return connection.subscribe(
      { type: "WatchMetrics", intervalMs: this.#intervalMs },
      {
        message: (message) => {
          if (message.type === "Metrics") this.#deliver(message);
          else if (message.type === "Failure") fail(decodeFailure(message));
        },
        data: () => undefined,
        lost: fail,
      },
    );
  }

  #deliver(sample: MetricsMessage): void {
    this.#asked = false;
    if (this.#waiter === null) this.#kept = sample;
    else this.#waiter.resolve(sample);
    this.#waiter = null;
  }
}
