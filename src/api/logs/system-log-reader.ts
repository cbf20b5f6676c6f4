import { readFile, stat } from "node:fs/promises";
import { logMaximumFiles, parseBootMarker } from "../../store/log-format.ts";
import { LogEntry } from "./log-entry.ts";

/** Where one of the plain-text logs was read up to. */
export interface TextLogPosition {
  readonly inode: number;
  readonly offset: number;
}

export const logBeginning: TextLogPosition = { inode: 0, offset: 0 };

/** These lines have no position in exec.log by themselves: {@link placeAt} gives them one. */
const unplaced = 0;

type LineClock = (line: string) => Date;

/** Every line of `runtime.log`, rotated files first. */
export function readRuntimeLog(path: string): Promise<LogEntry[]> {
  return readAll(path, runtimeClock());
}

/** Every line of the guest's console, rotated files first. Its times are the guest's own, added to when it booted. */
export function readKernelLog(path: string): Promise<LogEntry[]> {
  return readAll(path, kernelClock());
}

/** The lines that were added since. A file that was rotated meanwhile is read from its start. */
export async function readNewLines(
  path: string,
  position: TextLogPosition,
): Promise<{ entries: LogEntry[]; position: TextLogPosition }> {
  const found = await stat(path).catch(() => null);
  if (found === null) return { entries: [], position };
  const offset = found.ino === position.inode ? position.offset : 0;
  if (found.size <= offset) return { entries: [], position: { inode: found.ino, offset } };
  const bytes = (await readFile(path)).subarray(offset);
  const end = bytes.lastIndexOf(0x0a) + 1;
  const now = (): Date => new Date();
  return {
    entries: toEntries(bytes.toString("utf8", 0, end), now),
    position: { inode: found.ino, offset: offset + end },
  };
}

/** The same line, known to come before what is at this position of exec.log. */
export function placeAt(entry: LogEntry, position: number): LogEntry {
  return new LogEntry(entry.timestamp, entry.source, entry.sessionId, entry.data, position);
}

async function readAll(path: string, clock: LineClock): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (let n = logMaximumFiles - 1; n >= 0; n--) {
    const text = await readFile(n === 0 ? path : `${path}.${n}`, "utf8").catch(() => "");
    entries.push(...toEntries(text, clock));
  }
  return entries;
}

function toEntries(text: string, clock: LineClock): LogEntry[] {
  return text
    .split("\n")
    .map((line) => line.replace(/\r$/, ""))
    .filter((line) => line !== "")
    .map((line) => new LogEntry(clock(line), "system", null, Buffer.from(`${line}\n`), unplaced));
}

/** Each event begins with its time; lines that go on with one are indented and have its time. */
function runtimeClock(): LineClock {
  let latest = new Date(0);
  return (line) => {
    const time = /^(\d{4}-\d\d-\d\dT\S+) /.exec(line)?.[1];
    const parsed = time === undefined ? null : new Date(time);
    if (parsed !== null && !Number.isNaN(parsed.getTime())) latest = parsed;
    return latest;
  };
}

/** printk's time stamp is seconds since the kernel began: Documentation/admin-guide/kernel-parameters.txt, printk.time. */
function kernelClock(): LineClock {
  let boot = new Date(0);
  let latest = boot;
  return (line) => {
    const marker = parseBootMarker(line);
    if (marker !== null) latest = boot = marker;
    const seconds = /^\[\s*(\d+\.\d+)\]/.exec(line)?.[1];
    if (seconds !== undefined) latest = new Date(boot.getTime() + Number(seconds) * 1000);
    return latest;
  };
}
