import { fromAgent, requests, silent, toAgent, toClient, toSupervisor, type Area } from "./types.ts";

/** What a sandbox uses, and what it logs. */
export const observation = {
  messages: {
    StatsRequest: { tag: 32, routes: toAgent, doc: "Answered by Stats.", fields: {} },
    Stats: {
      tag: 33,
      routes: fromAgent,
      doc: "Bytes. Root is the file system that / is on, as statfs reports it.",
      fields: { memoryTotal: "u53", memoryAvailable: "u53", rootTotal: "u53", rootFree: "u53" },
    },
    MetricsRequest: { tag: 58, routes: toSupervisor, doc: "Answered by Metrics.", fields: {} },
    WatchMetrics: {
      tag: 65,
      routes: toSupervisor,
      doc: "Asks for a sample now, and for others with at least so many ms between two of them.",
      fields: { intervalMs: "u32" },
    },
    Metrics: {
      tag: 59,
      routes: toClient,
      doc: "One sample. cpuPercentTimes100: 10000 = one full core. Sizes are bytes; totals count from boot.",
      fields: {
        timestampMs: "u53",
        cpuPercentTimes100: "u32",
        vcpuTimeNs: "u53",
        memoryBytes: "u53",
        memoryLimitBytes: "u53",
        memoryAvailableBytes: { optional: "u53" },
        memoryHostResidentBytes: { optional: "u53" },
        diskReadBytes: "u53",
        diskWriteBytes: "u53",
        netRxBytes: "u53",
        netTxBytes: "u53",
        netFlowsOpened: "u53",
        netFlowsDenied: "u53",
        netActiveFlows: "u53",
        dnsQueries: "u53",
        dnsDenied: "u53",
        uptimeMs: "u53",
        upperUsedBytes: { optional: "u53" },
        upperFreeBytes: { optional: "u53" },
        upperHostAllocatedBytes: { optional: "u53" },
        hostDiskFull: "bool",
      },
    },
    WatchLogs: {
      tag: 66,
      routes: toSupervisor,
      doc: "Asks to be told whenever the sandbox's logs have grown.",
      fields: {},
    },
    LogsChanged: {
      tag: 67,
      routes: toClient,
      doc: "There is more in the files of the logs than there was when this was said last.",
      fields: {},
    },
  },
  services: {
    stats: requests("What the guest has left.", toAgent, ["StatsRequest"], ["Stats"]),
    sample: requests("What the sandbox uses, once.", toSupervisor, ["MetricsRequest"], ["Metrics"]),
    metrics: {
      doc: "A subscription to what the sandbox uses. Fails with sandboxNotRunning at its end.",
      opens: ["WatchMetrics"],
      routes: toSupervisor,
      opener: { messages: ["Next"], data: [] },
      acceptor: { ...silent, messages: ["Metrics"], ends: [] },
    },
    logs: {
      doc: "A subscription to the growth of the sandbox's logs, until its end. What is in them is read from their files.",
      opens: ["WatchLogs"],
      routes: toSupervisor,
      opener: { messages: ["Next"], data: [] },
      acceptor: { ...silent, messages: ["LogsChanged"], ends: ["Ended"] },
    },
  },
} as const satisfies Area;
