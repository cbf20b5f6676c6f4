import type { SandboxHandle, SandboxMetrics } from "../../api/index.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import { bytes, jsonStatus, jsonTime, tableStatus, uptime } from "./format.ts";
import { isTerminal, type SandboxStatus } from "../../config/enums.ts";
import type { Text } from "./style.ts";

/** running, paused = answered; stalled = should run but does not answer; suspended, exited = nothing of it runs. */
export type MetricsState = "running" | "paused" | "stalled" | "suspended" | "exited";

/** Whether there is nothing to measure, nor will be before somebody starts it. */
export function isOver(state: MetricsState): boolean {
  return state === "exited" || state === "suspended";
}

export interface Reading {
  readonly name: string;
  readonly cpus: number;
  readonly state: MetricsState;
  /** Null unless it answered. */
  readonly metrics: SandboxMetrics | null;
  /** Why it is stalled, when that is known. */
  readonly problem?: unknown;
}

export interface Rates {
  /** 100 = one full core. */
  readonly cpuPercent: number;
  /** Bytes per second. */
  readonly diskRead: number;
  readonly diskWrite: number;
  readonly netReceived: number;
  readonly netSent: number;
}

export interface MeasuredSandbox extends Reading {
  readonly rates: Rates | null;
}

export const sortKeys = ["name", "cpu", "mem"] as const;
export type SortKey = (typeof sortKeys)[number];

/** A sandbox that has not answered by then is shown as stalled. */
const ANSWER_MS = 3000;

/** Asks a sandbox for its figures. Never throws: not answering is a state. */
export async function read(handle: SandboxHandle): Promise<Reading> {
  const base = { name: handle.name, cpus: handle.config().cpus ?? 1 };
  if (isTerminal(handle.status)) return { ...base, state: ended(handle.status), metrics: null };
  try {
    const metrics = await orTimeout(handle.metrics(), ANSWER_MS);
    if (metrics === null) return { ...base, state: "stalled", metrics };
    return { ...base, state: handle.status === "paused" ? "paused" : "running", metrics };
  } catch (problem) {
    const state = await stateNow(handle);
    return { ...base, state, metrics: null, problem };
  }
}

async function stateNow(handle: SandboxHandle): Promise<MetricsState> {
  try {
    const { status } = await handle.refresh();
    return isTerminal(status) ? ended(status) : "stalled";
  } catch {
    return "exited";
  }
}

function ended(status: SandboxStatus): MetricsState {
  return status === "suspended" ? "suspended" : "exited";
}

/** What happened between two samples of one sandbox; null when they do not belong to one run or moment. */
export function rates(before: SandboxMetrics | null | undefined, after: SandboxMetrics | null): Rates | null {
  if (before === null || before === undefined || after === null) return null;
  const seconds = (after.timestamp.getTime() - before.timestamp.getTime()) / 1000;
  if (seconds <= 0 || after.uptimeMs < before.uptimeMs) return null;
  const perSecond = (earlier: number, later: number): number => Math.max(0, later - earlier) / seconds;
  return {
    cpuPercent: perSecond(before.vcpuTimeNs, after.vcpuTimeNs) / 1e7,
    diskRead: perSecond(before.diskReadBytes, after.diskReadBytes),
    diskWrite: perSecond(before.diskWriteBytes, after.diskWriteBytes),
    netReceived: perSecond(before.netRxBytes, after.netRxBytes),
    netSent: perSecond(before.netTxBytes, after.netTxBytes),
  };
}

/** By name, or with the greatest consumer first; equal ones by name. */
export function sortMeasured(sandboxes: readonly MeasuredSandbox[], key: SortKey): MeasuredSandbox[] {
  const weight = (sandbox: MeasuredSandbox): number => {
    if (key === "cpu") return sandbox.rates?.cpuPercent ?? sandbox.metrics?.cpuPercent ?? -1;
    return key === "mem" ? (sandbox.metrics?.memoryBytes ?? -1) : 0;
  };
  return [...sandboxes].sort(
    (a, b) => weight(b) - weight(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

export const metricsHeaders = ["NAME", "STATE", "CPU", "MEM", "DISK R/W /s", "NET RX/TX /s", "UPTIME"];

export function metricsRow(sandbox: MeasuredSandbox): Text[] {
  const { metrics, rates: rate } = sandbox;
  const both = (first: number | undefined, second: number | undefined): string =>
    first === undefined || second === undefined
      ? "-"
      : `${bytes(Math.round(first))} / ${bytes(Math.round(second))}`;
  return [
    sandbox.name,
    tableStatus(sandbox.state, process.stdout),
    metrics === null ? "-" : `${(rate?.cpuPercent ?? metrics.cpuPercent).toFixed(1)}%`,
    metrics === null ? "-" : `${bytes(metrics.memoryBytes)} / ${bytes(metrics.memoryLimitBytes)}`,
    both(rate?.diskRead, rate?.diskWrite),
    both(rate?.netReceived, rate?.netSent),
    metrics === null ? "-" : uptime(metrics.uptimeMs),
  ];
}

export function metricsJson(sandbox: MeasuredSandbox): object {
  const { metrics, rates: rate } = sandbox;
  const base = { name: sandbox.name, state: jsonStatus(sandbox.state), cpus: sandbox.cpus };
  if (metrics === null) return base;
  return {
    ...base,
    timestamp: jsonTime(metrics.timestamp),
    cpu_percent: Math.round((rate?.cpuPercent ?? metrics.cpuPercent) * 100) / 100,
    vcpu_time_ns: metrics.vcpuTimeNs,
    memory_bytes: metrics.memoryBytes,
    memory_limit_bytes: metrics.memoryLimitBytes,
    memory_available_bytes: metrics.memoryAvailableBytes,
    memory_host_resident_bytes: metrics.memoryHostResidentBytes,
    disk_read_bytes: metrics.diskReadBytes,
    disk_write_bytes: metrics.diskWriteBytes,
    net_rx_bytes: metrics.netRxBytes,
    net_tx_bytes: metrics.netTxBytes,
    net_flows_opened: metrics.netFlowsOpened,
    net_flows_denied: metrics.netFlowsDenied,
    net_active_flows: metrics.netActiveFlows,
    dns_queries: metrics.dnsQueries,
    dns_denied: metrics.dnsDenied,
    uptime_secs: Math.floor(metrics.uptimeMs / 1000),
    upper_used_bytes: metrics.upperUsedBytes,
    upper_free_bytes: metrics.upperFreeBytes,
    upper_host_allocated_bytes: metrics.upperHostAllocatedBytes,
    host_disk_full: metrics.hostDiskFull,
    copies: metrics.copies,
    copy_pause_ms: metrics.copyPauseMs,
  };
}
