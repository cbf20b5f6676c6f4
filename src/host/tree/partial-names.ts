import { createHash, randomBytes } from "node:crypto";
import { lstat, readdir, readlink, unlink } from "node:fs/promises";
import { removeTree } from "../contained/remove-tree.ts";
import type { HeldDirectory } from "../contained/held-directory.ts";
import { identifyProcess, isAlive } from "../process/process-identity.ts";

/** How the name begins that something has until it is whole. What a killed process leaves is known by it. */
export const partialPrefix = ".msb-partial-";

/** Behind the prefix: where the process is known by its number, that number, when it was started, and what makes the name its own. */
const named = /^([0-9a-f]{8})-(\d{1,10})-(\d{1,20})-[0-9a-f]{12}$/u;

/** Who writes, as names say it. */
interface Writer {
  /** Of this boot of the host and this namespace of processes (pid_namespaces(7)): in another one the numbers are others'. */
  readonly world: string;
  readonly boot: string;
  readonly pid: number;
  /** In ticks since the boot. */
  readonly started: string;
}

let self: Promise<Writer | null> | undefined;

async function thisProcess(): Promise<Writer | null> {
  if (process.platform !== "linux") return null;
  try {
    const [identity, namespace] = await Promise.all([
      identifyProcess(process.pid),
      readlink("/proc/self/ns/pid"),
    ]);
    const [boot, started] = identity?.started.split(":") ?? [];
    if (boot === undefined || started === undefined) return null;
    const world = createHash("sha256").update(`${boot} ${namespace}`).digest("hex").slice(0, 8);
    return { world, boot, pid: process.pid, started };
  } catch {
    return null;
  }
}

/** A name for what is not whole yet, that nobody else has, and that says whose it is. */
export async function partialName(): Promise<string> {
  const writer = await (self ??= thisProcess());
  const own = randomBytes(6).toString("hex");
  if (writer === null) return partialPrefix + own;
  return `${partialPrefix}${writer.world}-${writer.pid}-${writer.started}-${own}`;
}

/**
 * Removes from a directory what processes have left there that were killed. What cannot be told to be such stays: of another host or
 * container that shares the directory, of before the host was started, and where there is no `/proc`. Never throws: it is not what
 * the directory is opened for.
 */
export async function sweepPartial(directory: HeldDirectory): Promise<void> {
  const writer = await (self ??= thisProcess());
  if (writer === null) return;
  const names = await readdir(directory.itself).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(partialPrefix)) continue;
    const [, world, pid, started] = named.exec(name.slice(partialPrefix.length)) ?? [];
    if (world !== writer.world) continue;
    if (await isAlive({ pid: Number(pid), started: `${writer.boot}:${started}` })) continue;
    const path = directory.at(name);
    const found = await lstat(path).catch(() => null);
    if (found?.isDirectory() === true) await removeTree({ path }).catch(() => undefined);
    else await unlink(path).catch(() => undefined);
  }
}
