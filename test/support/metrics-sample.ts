import type { MetricsMessage } from "../../src/protocol/generated/messages.ts";

/** A sample as a supervisor sends it, of a sandbox that does nothing. */
export function metricsSample(uptimeMs = 0): MetricsMessage {
  return {
    type: "Metrics",
    timestampMs: 1,
    cpuPercentTimes100: 0,
    vcpuTimeNs: 0,
    memoryBytes: 0,
    memoryLimitBytes: 0,
    memoryAvailableBytes: null,
    memoryHostResidentBytes: null,
    diskReadBytes: 0,
    diskWriteBytes: 0,
    netRxBytes: 0,
    netTxBytes: 0,
    netFlowsOpened: 0,
    netFlowsDenied: 0,
    netActiveFlows: 0,
    dnsQueries: 0,
    dnsDenied: 0,
    uptimeMs,
    upperUsedBytes: null,
    upperFreeBytes: null,
    upperHostAllocatedBytes: null,
    hostDiskFull: false,
    copies: 0,
    copyPauseMs: 0,
  };
}
