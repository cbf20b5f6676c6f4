import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** USER_HZ, in which proc(5) gives times: 100 on every architecture we run on, whatever the kernel's own HZ. */
const ticksPerSecond = 100;
const nsPerTick = 1_000_000_000 / ticksPerSecond;

/**
 * Processor time a process has used, in nanoseconds, in user and kernel mode together, of all its threads.
 *
 * @returns null when there is no such process
 */
export async function processCpuTimeNs(pid: number): Promise<number | null> {
  if (process.platform === "linux") {
    const stat = await readProc(`/proc/${pid}/stat`);
    return stat === null ? null : parseStatCpuTimeNs(stat);
  }
  const time = await ps(pid, "time");
  return time === null ? null : parsePsTimeNs(time);
}

/**
 * Memory a process has resident, in bytes, shared memory included.
 *
 * @returns null when it cannot be had
 */
export async function processResidentBytes(pid: number): Promise<number | null> {
  if (process.platform === "linux") {
    const status = await readProc(`/proc/${pid}/status`);
    const kib = status === null ? undefined : /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  }
  const kib = Number(await ps(pid, "rss"));
  return kib > 0 ? kib * 1024 : null;
}

/** proc_pid_stat(5): fields 14 and 15 are utime and stime; field 2 may hold anything, so count from its closing parenthesis. */
export function parseStatCpuTimeNs(stat: string): number | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks * nsPerTick : null;
}

/** `[[dd-]hh:]mm:ss[.cc]`, as ps prints it. */
export function parsePsTimeNs(text: string): number | null {
  const match = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$/.exec(text.trim());
  if (match === null) return null;
  const [, days = "0", hours = "0", minutes = "0", seconds = "0"] = match;
  return Math.round(
    (Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e9,
  );
}

async function readProc(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return null;
  }
}

async function ps(pid: number, field: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", `${field}=`, "-p", String(pid)]);
    return stdout.trim() === "" ? null : stdout.trim();
  } catch {
    return null;
  }
}
