import assert from "node:assert/strict";
import { test } from "node:test";
import type { SandboxMetrics } from "../../api/index.ts";
import { metricsJson, metricsRow, rates, sortMeasured, type MeasuredSandbox } from "./metrics-sample.ts";

function sample(values: Partial<SandboxMetrics>): SandboxMetrics {
  const timestamp = values.timestamp ?? new Date(0);
  return {
    cpuPercent: 0,
    vcpuTimeNs: 0,
    memoryBytes: 0,
    memoryLimitBytes: 512 * 1024 * 1024,
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
    uptimeMs: 0,
    timestamp,
    timestampMs: timestamp.getTime(),
    upperUsedBytes: null,
    upperFreeBytes: null,
    upperHostAllocatedBytes: null,
    hostDiskFull: false,
    copies: 0,
    copyPauseMs: 0,
    ...values,
  };
}

function measured(name: string, values: Partial<SandboxMetrics>): MeasuredSandbox {
  return { name, cpus: 1, state: "running", metrics: sample(values), rates: null };
}

test("rates are per second between two samples", () => {
  const before = sample({ timestamp: new Date(1000), uptimeMs: 1000, vcpuTimeNs: 1e9, diskReadBytes: 100 });
  const after = sample({
    timestamp: new Date(1500),
    uptimeMs: 1500,
    vcpuTimeNs: 1.25e9,
    diskReadBytes: 200,
    diskWriteBytes: 7,
  });
  assert.deepEqual(rates(before, after), {
    cpuPercent: 50,
    diskRead: 200,
    diskWrite: 14,
    netReceived: 0,
    netSent: 0,
  });
});

test("samples of different runs, or of one moment, have no rates", () => {
  const before = sample({ timestamp: new Date(1000), uptimeMs: 60_000 });
  assert.equal(rates(before, sample({ timestamp: new Date(2000), uptimeMs: 500 })), null);
  assert.equal(rates(before, before), null);
  assert.equal(rates(undefined, before), null);
  assert.equal(rates(before, null), null);
});

test("sorting puts the greatest consumer first, and equal ones in the order of their names", () => {
  const sandboxes = [
    measured("c", { cpuPercent: 5, memoryBytes: 1 }),
    measured("a", { cpuPercent: 5, memoryBytes: 3 }),
    measured("b", { cpuPercent: 50, memoryBytes: 2 }),
    { name: "d", cpus: 1, state: "exited", metrics: null, rates: null } as const,
  ];
  const order = (key: "name" | "cpu" | "mem"): string =>
    sortMeasured(sandboxes, key)
      .map(({ name }) => name)
      .join("");
  assert.equal(order("name"), "abcd");
  assert.equal(order("cpu"), "bacd");
  assert.equal(order("mem"), "abcd");
});

test("what does not answer has a state and no figures", () => {
  const stalled: MeasuredSandbox = { name: "a", cpus: 2, state: "stalled", metrics: null, rates: null };
  assert.deepEqual(metricsRow(stalled).map(String), ["a", "stalled", "-", "-", "-", "-", "-"]);
  assert.deepEqual(metricsJson(stalled), { name: "a", state: "Stalled", cpus: 2 });
});

test("the JSON of a sample has its units in its keys", () => {
  const counts = {
    ...{ netFlowsOpened: 5, netFlowsDenied: 4, netActiveFlows: 3 },
    ...{ dnsQueries: 2, dnsDenied: 1 },
  };
  const json = metricsJson({
    ...measured("a", { uptimeMs: 61_999, cpuPercent: 12.345, ...counts }),
    cpus: 2,
  });
  assert.deepEqual(json, {
    name: "a",
    state: "Running",
    cpus: 2,
    timestamp: "1970-01-01T00:00:00.000Z",
    cpu_percent: 12.35,
    vcpu_time_ns: 0,
    memory_bytes: 0,
    memory_limit_bytes: 512 * 1024 * 1024,
    memory_available_bytes: null,
    memory_host_resident_bytes: null,
    disk_read_bytes: 0,
    disk_write_bytes: 0,
    net_rx_bytes: 0,
    net_tx_bytes: 0,
    net_flows_opened: 5,
    net_flows_denied: 4,
    net_active_flows: 3,
    dns_queries: 2,
    dns_denied: 1,
    uptime_secs: 61,
    upper_used_bytes: null,
    upper_free_bytes: null,
    upper_host_allocated_bytes: null,
    host_disk_full: false,
    copies: 0,
    copy_pause_ms: 0,
  });
});
