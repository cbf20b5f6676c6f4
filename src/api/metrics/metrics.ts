import { InvalidConfigError } from "../../errors/index.ts";
import type { MetricsMessage } from "../../protocol/generated/messages.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { longestTimerMs } from "../../host/timers.ts";

/** One look at what a sandbox uses. Sizes in bytes; totals count from boot. */
export interface SandboxMetrics {
  /** Of the sandbox's process on the host since the sample before; 100 is one full core. */
  readonly cpuPercent: number;
  /** Processor time of the sandbox's process, ns. */
  readonly vcpuTimeNs: number;
  /** Memory in use inside the guest, as it says itself. */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  /** What the guest could still use; null when it did not answer. */
  readonly memoryAvailableBytes: number | null;
  /** Memory of the host that the sandbox takes. */
  readonly memoryHostResidentBytes: number | null;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly netRxBytes: number;
  readonly netTxBytes: number;
  readonly uptimeMs: number;
  readonly timestamp: Date;
  /** The same as `timestamp`, in ms since 1970. */
  readonly timestampMs: number;
  /**
   * Of the sandbox's writable layer, on disk or in memory; null when the guest did not answer, and for a root that has none:
   * a directory or a disk image.
   */
  readonly upperUsedBytes: number | null;
  readonly upperFreeBytes: number | null;
  /** What the writable layer takes on the host's disk; null when it is not there. */
  readonly upperHostAllocatedBytes: number | null;
}

export function metricsFrom(message: MetricsMessage): SandboxMetrics {
  const { type: _type, cpuPercentTimes100, ...rest } = message;
  return { ...rest, cpuPercent: cpuPercentTimes100 / 100, timestamp: new Date(message.timestampMs) };
}

/**
 * Samples of a sandbox's metrics, the first at once. Ends when the sandbox does.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("metrics-example").image("localhost/base").replace().create();
 * await using samples = sandbox.metricsStream(500);
 * for await (const { memoryBytes, uptimeMs } of samples) {
 *   console.log(memoryBytes, uptimeMs);
 *   break;
 * }
 * ```
 */
export class MetricsStream implements AsyncIterable<SandboxMetrics>, AsyncDisposable {
  readonly #sample: (options: WaitOptions) => Promise<SandboxMetrics | null>;
  readonly #intervalMs: number;
  readonly #disposed = Promise.withResolvers<void>();
  #nextAt = 0;
  #over = false;

  /**
   * @internal
   * @param sample null when the sandbox has ended
   * @param intervalMs 0 is taken for 1
   * @throws InvalidConfigError
   */
  constructor(sample: (options: WaitOptions) => Promise<SandboxMetrics | null>, intervalMs: number) {
    if (!(intervalMs >= 0 && intervalMs <= longestTimerMs)) {
      throw new InvalidConfigError(
        `the interval ${intervalMs} is no number of milliseconds that can be waited`,
        {
          hint: `Use 0 to ${longestTimerMs}.`,
        },
      );
    }
    this.#sample = sample;
    this.#intervalMs = Math.max(1, intervalMs);
  }

  /** The next sample; null after the sandbox has ended, or the stream was disposed of. */
  async recv(options: WaitOptions = {}): Promise<SandboxMetrics | null> {
    return await Operation.run("wait for a sample of the metrics", options, (operation) =>
      this.#next(operation),
    );
  }

  async #next(operation: Operation): Promise<SandboxMetrics | null> {
    const waitMs = this.#nextAt - performance.now();
    if (waitMs > 0) await this.#pause(operation, waitMs);
    if (this.#over) return null;
    this.#nextAt = performance.now() + this.#intervalMs;
    const sample = await this.#sample({ signal: operation.signal });
    if (sample === null) this.#over = true;
    return sample;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<SandboxMetrics> {
    for (let sample = await this.recv(); sample !== null; sample = await this.recv()) yield sample;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    this.#disposed.resolve();
    return Promise.resolve();
  }

  async #pause(operation: Operation, ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    try {
      await operation.wait(Promise.race([over, this.#disposed.promise]));
    } finally {
      clearTimeout(timer);
    }
  }
}
