import { stat } from "node:fs/promises";
import { orTimeout } from "../../host/or-timeout.ts";
import type { NetworkCounters } from "../../network/gateway.ts";
import type { Machine } from "../../machine/machine.ts";
import type { MetricsMessage, StatsMessage } from "../../protocol/generated/messages.ts";
import type { AgentLink } from "../../agent-link/agent-link.ts";

export interface MetricsOptions {
  readonly machine: Machine;
  readonly agent: AgentLink;
  /** Whether the guest is held because the host has no space left for its disk. */
  readonly diskFull: () => boolean;
  /** Then it cannot say what it has left. */
  readonly isPaused: () => boolean;
  readonly memoryMib: number;
  /** How often it was copied, and how long it stood still for that, ms. */
  readonly copies: () => { readonly count: number; readonly heldMs: number };
  /** null: it has no network. */
  readonly network: () => NetworkCounters | null;
  /** Whether the root is an image with a writable layer above, rather than a directory or a disk image of the host. */
  readonly hasUpper: boolean;
  readonly upperPath: string;
  /** cpuPercent is an average over at least so long. */
  readonly intervalMs: number;
  /** When the machine was started, as performance.now() says. */
  readonly startedAtMs: number;
}

/** A guest that does not answer must not keep the host's own figures back. */
const guestAnswerMs = 1000;
/** cpuPercent over a shorter span than this would mostly show the scheduler's grain, whatever was asked for. */
const shortestSpanMs = 100;

interface CpuReading {
  readonly atMs: number;
  readonly cpuNs: number;
}

/** Takes samples when asked: nothing wakes up for a sandbox that nobody watches. */
export class MetricsSampler {
  readonly #options: MetricsOptions;
  #previous: CpuReading;
  #cpuPercent = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#previous = { atMs: options.startedAtMs, cpuNs: 0 };
  }

  async sample(): Promise<MetricsMessage> {
    const { machine, memoryMib, hasUpper } = this.#options;
    const [cpuNs, residentBytes, blocks, guest, upperHostAllocatedBytes] = await Promise.all([
      machine.cpuTimeNs(),
      machine.residentBytes(),
      machine.blockStats(),
      this.#guestStats(),
      this.#upperAllocated(),
    ]);
    // Without an upper the figures of / are those of the host's file system, or of a disk image.
    const upper = hasUpper ? guest : null;
    const network = this.#options.network();
    const copies = this.#options.copies();
    const used = guest === null ? residentBytes : guest.memoryTotal - guest.memoryAvailable;
    return {
      type: "Metrics",
      timestampMs: Date.now(),
      cpuPercentTimes100: Math.round(this.#updateCpuPercent(cpuNs) * 100),
      vcpuTimeNs: cpuNs,
      memoryBytes: Math.max(0, used ?? 0),
      memoryLimitBytes: memoryMib * 1024 * 1024,
      memoryAvailableBytes: guest?.memoryAvailable ?? null,
      memoryHostResidentBytes: residentBytes,
      diskReadBytes: blocks.readBytes,
      diskWriteBytes: blocks.writeBytes,
      netRxBytes: network?.rxBytes ?? 0,
      netTxBytes: network?.txBytes ?? 0,
      netFlowsOpened: network?.flowsOpened ?? 0,
      netFlowsDenied: network?.flowsDenied ?? 0,
      netActiveFlows: network?.activeFlows ?? 0,
      dnsQueries: network?.dnsQueries ?? 0,
      dnsDenied: network?.dnsDenied ?? 0,
      uptimeMs: Math.round(performance.now() - this.#options.startedAtMs),
      upperUsedBytes: upper === null ? null : Math.max(0, upper.rootTotal - upper.rootFree),
      upperFreeBytes: upper?.rootFree ?? null,
      upperHostAllocatedBytes,
      hostDiskFull: this.#options.diskFull(),
      copies: copies.count,
      copyPauseMs: Math.round(copies.heldMs),
    };
  }

  #updateCpuPercent(cpuNs: number): number {
    const now: CpuReading = { atMs: performance.now(), cpuNs };
    const spanMs = now.atMs - this.#previous.atMs;
    if (spanMs >= Math.max(shortestSpanMs, this.#options.intervalMs)) {
      this.#cpuPercent = Math.max(0, ((cpuNs - this.#previous.cpuNs) / (spanMs * 1e6)) * 100);
      this.#previous = now;
    }
    return this.#cpuPercent;
  }

  async #guestStats(): Promise<StatsMessage | null> {
    if (this.#options.isPaused()) return null;
    return await orTimeout(
      this.#options.agent.stats().catch(() => null),
      guestAnswerMs,
    );
  }

  /** st_blocks counts 512-byte units whatever the file system's block size: stat(2). */
  async #upperAllocated(): Promise<number | null> {
    const found = await stat(this.#options.upperPath).catch(() => null);
    return found === null ? null : found.blocks * 512;
  }
}
