/** What the processes of a sandbox take on a Linux host. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { processCpuTimeNs } from "../src/host/process/process-usage.ts";
import { findSandbox } from "../src/store/sandboxes.ts";
import { locateHome } from "../src/store/home.ts";

export interface SandboxProcesses {
  readonly supervisor: number;
  readonly qemu: number;
}

/** The processes of a running sandbox. */
export async function processesOf(name: string): Promise<SandboxProcesses> {
  const { state } = await findSandbox(locateHome(), name);
  const supervisor = state.supervisor?.pid;
  if (supervisor === undefined) throw new Error(`sandbox ${name} has no supervisor`);
  const children = await readFile(`/proc/${supervisor}/task/${supervisor}/children`, "utf8");
  const qemu = Number(children.trim().split(" ")[0]);
  if (!Number.isInteger(qemu) || qemu <= 0) throw new Error(`the supervisor ${supervisor} has no QEMU`);
  return { supervisor, qemu };
}

/** Proportional set size: shared pages count in part. Bytes; proc(5), smaps_rollup. */
export async function proportionalBytes(pid: number): Promise<number> {
  return kibibytes(await readFile(`/proc/${pid}/smaps_rollup`, "utf8"), "Pss");
}

/** Memory that is the process's own: what would be free if it ended. Bytes. */
export async function privateBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  return kibibytes(text, "Private_Clean") + kibibytes(text, "Private_Dirty");
}

/** Processor time that a process has used since its start, all threads, in user and kernel mode. ms, to the nearest 10 below. */
export async function cpuTimeMs(pid: number): Promise<number> {
  const time = await processCpuTimeNs(pid);
  if (time === null) throw new Error(`there is no process ${pid}`);
  return time / 1e6;
}

/** Resident memory now, bytes. Cheap enough to be asked for often. */
export async function residentBytes(pid: number): Promise<number> {
  return kibibytes(await readFile(`/proc/${pid}/status`, "utf8"), "VmRSS");
}

export interface MemoryWatch extends AsyncDisposable {
  /** Bytes; 0 where there is no /proc. */
  highestBytes(): number;
}

/** How much memory a process has at its highest from now on (proc(5): VmHWM, clear_refs), looked at every 20 ms while it is there. */
export async function watchMemory(pid: number): Promise<MemoryWatch> {
  await writeFile(`/proc/${pid}/clear_refs`, "5").catch(() => undefined);
  let highest = 0;
  let looking: Promise<void> = Promise.resolve();
  const look = (): void => {
    looking = readFile(`/proc/${pid}/status`, "utf8").then(
      (text) => {
        // Of a process that has ended nothing is told.
        if (text.includes("VmHWM")) highest = Math.max(highest, kibibytes(text, "VmHWM"));
      },
      () => undefined,
    );
  };
  look();
  const timer = setInterval(look, 20);
  return {
    highestBytes: () => highest,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}

function kibibytes(text: string, field: string): number {
  const value = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  if (value === undefined) throw new Error(`there is no ${field}`);
  return Number(value) * 1024;
}

/** Runs a program to its end. @throws Error when it fails */
export async function runProgram(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`);
}
