import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isTerminal } from "../../config/enums.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { listMembers } from "../pools/members.ts";
import { poolNames, poolPaths } from "../pools/pools.ts";
import { readState } from "../state.ts";
import { DiskTally } from "./disk-tally.ts";
import { listSandboxes } from "../list-sandboxes.ts";
import { heldFiles } from "./held-memory.ts";
import { memoryIn, realPath, sandboxFiles } from "./sandbox-usage.ts";

/** What is in a home, in the order in which a file counts that has names in several. */
export const storageKinds = [
  "images",
  "templates",
  "snapshots",
  "volumes",
  "pools",
  "sandboxes",
  "forkMemory",
  "other",
] as const;
export type StorageKind = (typeof storageKinds)[number];

/** Bytes on the disk. */
export type HomeUsage = Readonly<Record<StorageKind, number>>;

/** Of a capture, such as that of a checkpoint: a guest's memory, and the state of its devices. */
const memoryNames: ReadonlySet<string> = new Set(["memory", "state"]);

/**
 * Everything in a home, each file once, whatever names it has, and the memory that running forks have mapped, which has none any more.
 *
 * @throws IoError; the reason of the signal
 */
export async function homeUsage(home: Home, signal: AbortSignal): Promise<HomeUsage> {
  const tally = new DiskTally<StorageKind>();
  for (const kind of ["images", "templates", "snapshots", "volumes", "pools"] as const) {
    await tally.add(kind, await realPath(home[kind]));
    signal.throwIfAborted();
  }
  for (const name of await namesIn(home.sandboxes)) {
    signal.throwIfAborted();
    await addSandbox(tally, join(home.sandboxes, name));
  }
  const known = new Set([
    ...[home.images, home.templates, home.snapshots, home.volumes, home.pools, home.sandboxes],
  ]);
  const isMemory = await memoryIn(home);
  for (const supervisor of await runningSupervisors(home))
    for (const { status, path } of await heldFiles(supervisor))
      if (isMemory(path)) tally.addHeld("forkMemory", status);
  for (const name of await namesIn(home.root)) {
    signal.throwIfAborted();
    const path = join(home.root, name);
    if (!known.has(path)) await tally.add("other", path);
  }
  return {
    images: tally.bytesOf("images"),
    templates: tally.bytesOf("templates"),
    snapshots: tally.bytesOf("snapshots"),
    volumes: tally.bytesOf("volumes"),
    pools: tally.bytesOf("pools"),
    sandboxes: tally.bytesOf("sandboxes"),
    forkMemory: tally.bytesOf("forkMemory"),
    other: tally.bytesOf("other"),
  };
}

/** Those of sandboxes, and of the members of pools. */
async function runningSupervisors(home: Home): Promise<number[]> {
  const running = (await listSandboxes(home))
    .filter(({ status }) => !isTerminal(status))
    .map(({ state }) => state.supervisor);
  for (const name of await poolNames(home))
    for (const { paths } of await listMembers(poolPaths(home, name)))
      running.push((await readState(paths.state).catch(() => null))?.supervisor ?? null);
  return running.filter((supervisor) => supervisor !== null).map(({ pid }) => pid);
}

async function addSandbox(tally: DiskTally<StorageKind>, directory: string): Promise<void> {
  for (const { part, path } of await sandboxFiles(directory)) {
    if (part === "memory") await tally.add("forkMemory", path);
    else if (part === "checkpoints") await addCheckpoints(tally, path);
    else await tally.add("sandboxes", path);
  }
}

/** Checkpoints, or what a sandbox goes back to: directories with memories, and disks. */
async function addCheckpoints(tally: DiskTally<StorageKind>, directory: string): Promise<void> {
  for (const entry of await namesIn(directory)) {
    const path = join(directory, entry);
    const names = await namesIn(path);
    if (names.length === 0) await tally.add("sandboxes", path);
    for (const name of names)
      await tally.add(memoryNames.has(name) ? "forkMemory" : "sandboxes", join(path, name));
  }
}

/** @returns none when it is not there, or no directory */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw ioError(`list ${directory}`, error);
  }
}
