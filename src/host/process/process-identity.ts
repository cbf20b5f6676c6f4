import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The boot of the host and the moment in it at which the process started. */
  readonly started: string;
}

/** @returns null when no process has this pid */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  const started = process.platform === "linux" ? await startedOnLinux(pid) : await startedElsewhere(pid);
  return started === null ? null : { pid, started };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== null && now.started === identity.started;
}

let bootId: Promise<string> | undefined;

/** proc(5): field 22 of /proc/PID/stat is the start time in clock ticks since boot; state Z or X is a process that has ended. */
async function startedOnLinux(pid: number): Promise<string | null> {
  bootId ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then((text) => text.trim());
  let stat: string;
  try {
    // No disk is behind it: it takes a fifth of what it takes to have another thread read it.
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The command name (field 2) may hold spaces and parentheses, so fields are counted from its closing one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startTicks = fields[19];
  if (startTicks === undefined || state === "Z" || state === "X") return null;
  return `${await bootId}:${startTicks}`;
}

async function startedElsewhere(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)]);
    const text = stdout.trim();
    return text === "" ? null : text;
  } catch {
    return null;
  }
}
