import { MicrosandboxError, RuntimeError, type MicrosandboxErrorCode } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { MetricsMessage } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import type { SupervisorConnection } from "../control/connection.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { metricsFrom, type MetricsSource, type SandboxMetrics } from "./metrics.ts";

/** The sandbox whose metrics were asked for is there no more. */
const endsMetrics: readonly MicrosandboxErrorCode[] = [
  "sandboxNotRunning",
  "sandboxNotFound",
  "sandboxReplaced",
];

/** Whose metrics they are. */
export type MetricsOwner = Pick<SandboxControl, "requireMetrics" | "connect" | "explainLoss">;

/** Samples that the supervisor takes at an interval. Each is taken when it is asked for, if it is time, and else when it is. */
export class MetricsSubscription implements MetricsSource {
  readonly #control: MetricsOwner;
  readonly #intervalMs: number;
  #connection: SupervisorConnection | null = null;
  #stream: Stream | null = null;
  #waiter: PromiseWithResolvers<MetricsMessage> | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param intervalMs 0 is taken for 1 */
  constructor(control: MetricsOwner, intervalMs: number) {
    this.#control = control;
    this.#intervalMs = Math.max(1, Math.ceil(intervalMs));
  }

  async next(): Promise<SandboxMetrics | null> {
    try {
      this.#control.requireMetrics();
      return metricsFrom(await this.#control.explainLoss(this.#ask()));
    } catch (error) {
      if (error instanceof MicrosandboxError && endsMetrics.includes(error.code)) return null;
      throw error;
    }
  }

  close(): void {
    this.#stream?.abort(new RuntimeError("nobody waits for samples any more"));
    this.#stream = null;
  }

  async #ask(): Promise<MetricsMessage> {
    this.#connection = await Operation.run("connect to sandbox", {}, (operation) =>
      this.#control.connect(operation),
    );
    // A subscription that has failed is made anew, which must not make it faster.
    const waitMs = this.#askedAt + this.#intervalMs - performance.now();
    if (this.#stream === null && waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    this.#askedAt = performance.now();
    this.#waiter = Promise.withResolvers();
    const release = this.#connection.hold();
    try {
      if (this.#stream === null) this.#stream = this.#open(this.#connection);
      else this.#stream.send({ type: "Next" });
      return await this.#waiter.promise;
    } finally {
      release();
    }
  }

  #open(connection: SupervisorConnection): Stream {
    const fail = (error: Error): void => {
      this.#stream = null;
      this.#waiter?.reject(error);
    };
    return connection.subscribe(
      { type: "WatchMetrics", intervalMs: this.#intervalMs },
      {
        message: (message) => {
          if (message.type === "Metrics") this.#waiter?.resolve(message);
          else if (message.type === "Failure") fail(decodeFailure(message));
        },
        data: () => undefined,
        lost: fail,
      },
    );
  }
}
