import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { findProgram } from "./lifeline.ts";

/**
 * How QEMU is kept from ending at a SIGTERM: a host that shuts down sends one to every process, and QEMU would end at once, before its
 * supervisor has had the guest write its disks, or its memory down. QEMU takes a disposition for its own, but leaves a mask as it is, so it
 * is started with the signal blocked, by the env(1) of GNU coreutils (8.31, of 2019). Where there is none it is not kept.
 */
const probeTimeoutMs = 20_000;

/** An env(1) that was found and not asked yet. */
export interface EnvProgram {
  /** Absolute. */
  readonly path: string;
  /** Changes when the file does. */
  readonly identity: string;
}

export async function findEnv(): Promise<EnvProgram | null> {
  const path = await findProgram("env");
  if (path === null) return null;
  const { size, mtimeMs, ino } = await stat(path);
  return { path, identity: `${path}:${size}:${mtimeMs}:${ino}` };
}

/** @returns its path; null when it cannot block a signal */
export async function askEnv({ path }: EnvProgram): Promise<string | null> {
  try {
    await promisify(execFile)(path, shielded(path, [path, "-i"]).slice(1), { timeout: probeTimeoutMs });
    return path;
  } catch {
    return null;
  }
}

/** The command that runs `command` in the same process, which no SIGTERM ends. @param env null: as it is */
export function shielded(env: string | null, command: readonly string[]): readonly string[] {
  return env === null ? command : [env, "--block-signal=TERM", ...command];
}
