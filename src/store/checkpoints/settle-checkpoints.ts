import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncPath } from "../../host/files/atomic-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { removeLeftover, type Discard } from "../leftovers.ts";

/** In a sandbox's directory: what it is to go back to, while that is gathered. */
export const stagedRollback = ".rollback-new";
/** The same when it is whole: what the sandbox is from then on, whoever brings it to its place. */
const decidedRollback = ".rollback";
/** In a sandbox's directory, one directory for each. */
export const checkpointsName = "checkpoints";
/** There, one that is being made. A checkpoint's name never begins with a dot. */
export const newPrefix = ".new-";
/** One that is being removed. */
export const removedPrefix = ".removed-";

/**
 * The sandbox is what was gathered from now on. Its machine has ended, and the caller has its lock.
 *
 * @throws IoError
 */
export async function decideRollback(sandbox: string): Promise<void> {
  try {
    await rename(join(sandbox, stagedRollback), join(sandbox, decidedRollback));
    await syncPath(sandbox);
  } catch (error) {
    throw ioError(`go back to a checkpoint in ${sandbox}`, error);
  }
  await finishRollback(sandbox);
}

/**
 * Finishes what was decided on, and clears away what was not. Whoever has the lock of a sandbox that nobody runs does this first: then the
 * disk and the memory that he finds belong together.
 *
 * @param sandbox its directory
 * @throws IoError
 */
export async function settleCheckpoints(sandbox: string): Promise<void> {
  const names = await namesIn(sandbox);
  if (names.includes(decidedRollback)) await finishRollback(sandbox);
  if (names.includes(stagedRollback))
    await rm(join(sandbox, stagedRollback), { recursive: true, force: true }).catch(() => undefined);
  if (names.includes(checkpointsName)) await sweepCheckpoints(sandbox, [newPrefix, removedPrefix]);
}

/** Whether that is a sandbox's checkpoints, or what it is to go back to, in its directory. */
export function isCheckpointsName(entry: string): boolean {
  return [checkpointsName, stagedRollback, decidedRollback].includes(entry);
}

/** Clears away what a process left that was killed. */
export async function sweepCheckpoints(
  sandbox: string,
  prefixes: readonly string[],
  discard: Discard = removeLeftover,
): Promise<void> {
  const directory = join(sandbox, checkpointsName);
  for (const name of await namesIn(directory).catch(() => [])) {
    if (!prefixes.some((prefix) => name.startsWith(prefix))) continue;
    await discard(join(directory, name)).catch(() => undefined);
  }
}

/** Each step can be the last one before the power fails: the next time it goes on from there. */
async function finishRollback(sandbox: string): Promise<void> {
  const decided = join(sandbox, decidedRollback);
  const [memory, disk] = ["suspended", "upper.img"].map((name) => ({
    from: join(decided, name),
    to: join(sandbox, name),
  })) as [Move, Move];
  try {
    const left = await namesIn(decided);
    if (left.includes("suspended")) {
      await rm(memory.to, { recursive: true, force: true });
      if (left.includes("upper.img")) await rename(disk.from, disk.to);
      await rename(memory.from, memory.to);
      await syncPath(sandbox);
    }
    await rm(decided, { recursive: true, force: true });
  } catch (error) {
    throw ioError(`go back to a checkpoint in ${sandbox}`, error);
  }
}

interface Move {
  readonly from: string;
  readonly to: string;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${directory}`, error);
  }
}
