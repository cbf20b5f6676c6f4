import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, ioError } from "../../host/system-error.ts";
import { isCheckpointsName } from "../checkpoints/settle-checkpoints.ts";
import type { Home } from "../home.ts";
import { pathsIn } from "../sandboxes.ts";
import { isSuspensionName } from "../suspension.ts";
import { DiskTally, type DiskUsage } from "./disk-tally.ts";
import { heldFiles } from "./held-memory.ts";

/** What the files of a sandbox are for, in the order in which a file counts that has names in several. */
export const sandboxParts = ["disk", "memory", "checkpoints", "logs", "other"] as const;
export type SandboxPart = (typeof sandboxParts)[number];

/** What a sandbox takes on the disk, in all and by part. */
export interface SandboxUsage extends DiskUsage {
  readonly parts: Readonly<Record<SandboxPart, DiskUsage>>;
}

const { upper, logs } = pathsIn("");

/** @param name in the sandbox's directory */
function partOf(name: string): SandboxPart {
  if (name === upper) return "disk";
  if (name === logs) return "logs";
  if (isCheckpointsName(name)) return "checkpoints";
  return isSuspensionName(name) ? "memory" : "other";
}

/** Whether a file that has no name any more was the memory of a sandbox of the home, or what those of a pool go on with. */
export async function memoryIn(home: Home): Promise<(path: string) => boolean> {
  const [sandboxes, pools] = await Promise.all([realPath(home.sandboxes), realPath(home.pools)]);
  return (path) =>
    path.startsWith(`${pools}/`) ||
    (path.startsWith(`${sandboxes}/`) && isSuspensionName(basename(dirname(path))));
}

/** A directory of the home may be a link to another disk: that is the user's choice. */
export async function realPath(directory: string): Promise<string> {
  return await realpath(directory).catch(() => directory);
}

/** What is in a sandbox's directory, sorted by part. Nothing when it is gone. @throws IoError */
export async function sandboxFiles(
  directory: string,
): Promise<readonly { readonly part: SandboxPart; readonly path: string }[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw ioError(`list ${directory}`, error);
  }
  const files = names.map((name) => ({ part: partOf(name), path: join(directory, name) }));
  return files.sort((a, b) => sandboxParts.indexOf(a.part) - sandboxParts.indexOf(b.part));
}

/**
 * @param directory the sandbox's
 * @param supervisor its process; null when it does not run
 * @throws IoError; the reason of the signal
 */
export async function sandboxUsage(
  home: Home,
  directory: string,
  supervisor: number | null,
  signal: AbortSignal,
): Promise<SandboxUsage> {
  const tally = new DiskTally<SandboxPart>();
  for (const { part, path } of await sandboxFiles(directory)) {
    signal.throwIfAborted();
    await tally.add(part, path);
  }
  const isMemory = await memoryIn(home);
  for (const { status, path } of supervisor === null ? [] : await heldFiles(supervisor))
    if (isMemory(path)) tally.addHeld("memory", status);
  return {
    ...tally.all(),
    parts: {
      disk: tally.of("disk"),
      memory: tally.of("memory"),
      checkpoints: tally.of("checkpoints"),
      logs: tally.of("logs"),
      other: tally.of("other"),
    },
  };
}
