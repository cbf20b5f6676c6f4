import { readFile } from "node:fs/promises";
import type { SandboxPaths } from "../store/index.ts";
import { readExecLog } from "./exec-log-reader.ts";
import { checkLogOptions, chosenSources, isInTime, type LogEntry, type LogReadOptions } from "./log-entry.ts";
import { readKernelLog, readRuntimeLog } from "./system-log-reader.ts";

/** Reads what is logged, in the order of time. */
export async function readLogs(paths: SandboxPaths, options: LogReadOptions): Promise<LogEntry[]> {
  checkLogOptions(options);
  const sources = chosenSources(options.sources);
  const { entries } = await readExecLog(paths.execLog, null);
  const all = sources.has("system")
    ? [...entries, ...(await readRuntimeLog(paths.runtimeLog)), ...(await readKernelLog(paths.kernelLog))]
    : entries;
  const chosen = all
    .filter((entry) => sources.has(entry.source) && isInTime(entry.timestamp, options))
    .sort((a, b) => a.timestamp.getTime() - b.timestamp.getTime());
  if (options.tail === undefined) return chosen;
  return options.tail === 0 ? [] : chosen.slice(-options.tail);
}

/** The last start that failed, until one succeeds. */
export interface BootErrorReport {
  /** RFC 3339. */
  readonly t: string;
  readonly stage: string;
  readonly errno: number | null;
  readonly message: string;
  readonly hint: string;
  readonly consoleTail: string;
  readonly qemuOutput: string;
}

export async function readBootError(paths: SandboxPaths): Promise<BootErrorReport | null> {
  try {
    // Written by the supervisor in this very shape.
    return JSON.parse(await readFile(paths.bootError, "utf8")) as BootErrorReport;
  } catch {
    return null;
  }
}
