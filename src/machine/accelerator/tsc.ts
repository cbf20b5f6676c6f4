import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { hostBootId } from "../../host/system/host-boot.ts";
import { asObject } from "../qmp/qmp.ts";
import type { GuestKernel } from "../types.ts";

/** The agent measures for about 30 ms; a host too busy to do it in this time boots without. */
const measureTimeoutMs = 5000;

/**
 * How much two measurements of one counter may differ, as a share of it.
 *
 * A guest that goes on with the other's frequency has a clock that is wrong by as much: at most 0.36 s in an hour, which is
 * within what quartz clocks are allowed. What makes two measurements differ is far less:
 *
 * - the measuring itself: 1 kHz of 2,250,000 (4e-7) in 120 measurements on a host with three times as many busy processes as
 *   processors. Each end of the 30 ms is known to half of the time that two clock readings take, tens of ns;
 * - the quartz, with its temperature: 1e-5;
 * - what NTP makes of the host's clock, against which it is measured: 1e-5 to 1e-4, and for a while after the host's start
 *   up to 5e-4 (adjtimex(2)). A template that this makes seem wrong costs one boot, and one time only, because the frequency
 *   is measured once in the life of a host.
 */
const tolerance = 1e-4;

/** Whether two measurements (kHz) can be of one counter, so that a guest's clock goes right with either. */
export function isSameTsc(oneKhz: number, otherKhz: number): boolean {
  return Math.abs(oneKhz - otherKhz) <= tolerance * Math.min(oneKhz, otherKhz);
}

/**
 * The frequency of the host's time stamp counter, which a guest under software emulation sees unchanged.
 *
 * Measured by the agent, run here as `agent --measure-tsc`, once per boot of the host.
 *
 * @param cacheDirectory where the measurement is remembered
 * @returns kHz; null on a processor without one, or when it cannot be measured
 */
export async function measureTscKhz(kernel: GuestKernel, cacheDirectory: string): Promise<number | null> {
  if (process.arch !== "x64") return null;
  if (process.platform === "darwin") return sysctlTscKhz();
  if (process.platform !== "linux" || kernel.agentPath === null) return null;
  const hostBoot = await hostBootId();
  const cacheFile = join(cacheDirectory, "tsc.json");
  const cached = hostBoot === null ? null : await readCachedKhz(cacheFile, hostBoot);
  if (cached !== null) return cached;
  const khz = parseKhz(await output(kernel.agentPath, ["--measure-tsc"]));
  if (khz !== null && hostBoot !== null) {
    // Measured again next time when it cannot be remembered.
    await writeFileAtomically(cacheFile, `${JSON.stringify({ hostBoot, khz })}\n`).catch(() => undefined);
  }
  return khz;
}

/** @returns the number when it is one that a processor can have (100 MHz to 20 GHz) */
export function parseKhz(text: string): number | null {
  const khz = /^\d+\n?$/.test(text) ? Number(text) : Number.NaN;
  return khz >= 100_000 && khz <= 20_000_000 ? khz : null;
}

async function readCachedKhz(cacheFile: string, hostBoot: string): Promise<number | null> {
  try {
    const cached = asObject(JSON.parse(await readFile(cacheFile, "utf8")));
    return cached?.["hostBoot"] === hostBoot ? parseKhz(String(cached["khz"])) : null;
  } catch {
    return null;
  }
}

async function sysctlTscKhz(): Promise<number | null> {
  const hertz = Number(await output("sysctl", ["-n", "machdep.tsc.frequency"]));
  return parseKhz(String(Math.round(hertz / 1000)));
}

async function output(program: string, parameters: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(program, parameters, { timeout: measureTimeoutMs })).stdout;
  } catch {
    return "";
  }
}
