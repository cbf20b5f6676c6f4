import { readFile } from "node:fs/promises";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import { readExecLog, type ExecLogRead } from "./exec-log-reader.ts";
import {
  checkLogOptions,
  chosenSources,
  isChosen,
  type LogEntry,
  type LogPlace,
  type LogReadOptions,
} from "./log-entry.ts";
import { placeAt, readKernelLog, readRuntimeLog } from "./system-log-reader.ts";

/** Reads what is logged, in the order of time. @param marks whether the ends of lines are wanted too: {@link LogEntry.ends} */
export async function readLogs(
  paths: SandboxPaths,
  options: LogReadOptions,
  marks = false,
): Promise<LogEntry[]> {
  checkLogOptions(options);
  const sources = chosenSources(options.sources);
  const { entries } = await readFrom(paths, null, sources.has("system"));
  const chosen = entries.filter((entry) => isChosen(entry, sources, options, marks));
  if (options.tail === undefined) return chosen;
  return options.tail === 0 ? [] : chosen.slice(-options.tail);
}

/**
 * Everything that comes after a place in the logs, in the order of time.
 *
 * @param place null for everything there is
 * @param system whether the lines about the sandbox itself are wanted
 * @throws MissedRotationError
 */
export async function readFrom(
  paths: SandboxPaths,
  place: LogPlace | null,
  system: boolean,
): Promise<ExecLogRead> {
  const read = await readExecLog(paths.execLog, place?.position ?? null);
  const lines = system
    ? [...(await readRuntimeLog(paths.runtimeLog)), ...(await readKernelLog(paths.kernelLog))]
    : [];
  const fromExecLog = new Set(read.entries);
  const merged = [
    ...read.entries,
    ...lines.filter(({ timestamp }) => place === null || timestamp > place.at),
  ];
  merged.sort((a, b) => a.timestamp.getTime() - b.timestamp.getTime());
  let position = read.begin;
  const entries = merged.map((entry) => {
    if (!fromExecLog.has(entry)) return placeAt(entry, position);
    position = Math.max(position, entry.position);
    return entry;
  });
  return { ...read, entries };
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
