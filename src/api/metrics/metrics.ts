import { InvalidConfigError } from "../../errors/index.ts";
import type { MetricsMessage } from "../../protocol/generated/messages.ts";
import { untilLeft } from "../../host/until-left.ts";
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
  /** What the guest's network interface was given, and what it sent: bytes of Ethernet frames. 0 without a network. */
  readonly netRxBytes: number;
  readonly netTxBytes: number;
  /** Connections and the like, to and from the guest: let through so far, refused so far, and open now. */
  readonly netFlowsOpened: number;
  readonly netFlowsDenied: number;
  readonly netActiveFlows: number;
  /** What the guest has asked its resolver, and how much of that was refused. */
  readonly dnsQueries: number;
  readonly dnsDenied: number;
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
  /** The host has no space left for what the guest writes: the guest is held until there is some again. */
  readonly hostDiskFull: boolean;
  /** How often the sandbox was copied while it ran, since its start: once for all children of one call. */
  readonly copies: number;
  /** How long its programs stood still for that, in all, ms. */
  readonly copyPauseMs: number;
}

export function metricsFrom(message: MetricsMessage): SandboxMetrics {
  const { type: _type, cpuPercentTimes100, ...rest } = message;
  return { ...rest, cpuPercent: cpuPercentTimes100 / 100, timestamp: new Date(message.timestampMs) };
}

/** @internal Where a stream of samples comes from. */
export interface MetricsSource {
  /**
   * The next sample, when it is time; null when the sandbox has ended, or the source was closed. Called again only after it has
   * settled. A sample that came too late for whoever gave up is the next one.
   *
   * @throws the signal's reason
   */
  next(signal: AbortSignal): Promise<SandboxMetrics | null>;
  /** Ends a wait for a sample too. */
  close(): void;
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
  readonly #source: MetricsSource;
  /** Settled when it is the turn of whoever asks next. */
  #turn: Promise<void> = Promise.resolve();
  #over = false;

  /**
   * @internal
   * @throws InvalidConfigError
   */
  constructor(source: MetricsSource, intervalMs: number) {
    if (typeof intervalMs !== "number" || !(intervalMs >= 0 && intervalMs <= longestTimerMs)) {
      throw new InvalidConfigError(
        `the interval ${intervalMs} is no number of milliseconds that can be waited`,
        {
          hint: `Use 0 to ${longestTimerMs}.`,
        },
      );
    }
    this.#source = source;
  }

  /** The next sample; null after the sandbox has ended, or the stream was disposed of. */
  async recv(options: WaitOptions = {}): Promise<SandboxMetrics | null> {
    return await Operation.run("wait for a sample of the metrics", options, async (operation) => {
      const turn = this.#turn;
      const done = Promise.withResolvers<void>();
      this.#turn = turn.then(() => done.promise);
      try {
        await operation.wait(turn);
        // Not waited for with the operation: a sample that was taken is handed over, whatever happens meanwhile.
        return await this.#next(operation.signal);
      } finally {
        done.resolve();
      }
    });
  }

  /** Leaving a loop over it before its end (`break`, `return`, an error) disposes of the stream. */
  [Symbol.asyncIterator](): AsyncIterator<SandboxMetrics> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    this.#source.close();
    return Promise.resolve();
  }

  async #next(signal: AbortSignal): Promise<SandboxMetrics | null> {
    if (this.#over) return null;
    const sample = await this.#source.next(signal);
    if (sample === null) this.#over = true;
    return sample;
  }
}
