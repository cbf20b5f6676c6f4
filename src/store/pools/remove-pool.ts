import { readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../../errors/index.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { isAlive } from "../../host/process/process-identity.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { readState } from "../state.ts";
import { listMembers, removeMember, type PoolMember } from "./members.ts";
import { noSuchPool, poolPaths, poolPathsIn, removedPrefix, stagingPrefix } from "./pools.ts";

/** How long a process may take to be gone that was killed, ms. */
const goneWithinMs = 10_000;
const retryMs = 5;

/**
 * Removes a pool with its members, which end. Sandboxes that were taken from it stay.
 *
 * @param expectedId null: whichever has the name
 * @throws PoolNotFoundError; RuntimeError for a process that does not end; IoError
 */
export async function removePool(home: Home, name: string, expectedId: string | null): Promise<void> {
  const { directory, record } = poolPaths(home, name);
  if (expectedId !== null && (await idIn(record)) !== expectedId) throw noSuchPool(name);
  const aside = join(home.pools, removedPrefix + randomHex(8));
  try {
    // From here on nobody finds it, none of its members can be taken, and none is added.
    await rename(directory, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw noSuchPool(name);
    throw ioError(`remove ${directory}`, error);
  }
  await removeRemains(home, aside);
  await sweepPools(home);
}

/** Clears what a process left that was killed while it made or removed a pool. */
export async function sweepPools(home: Home): Promise<void> {
  for (const name of await readdir(home.pools).catch(() => [])) {
    const path = join(home.pools, name);
    if (name.startsWith(removedPrefix)) await removeRemains(home, path).catch(() => undefined);
    if (!name.startsWith(stagingPrefix)) continue;
    // Its maker holds the lock for as long as it works on it, except in the first moment.
    const made = await stat(path).catch(() => null);
    if (made === null || Date.now() - made.mtimeMs < 60_000) continue;
    const lock = await tryLockFile(poolPathsIn(path).making).catch(() => null);
    if (lock === null) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
    await lock.release();
  }
}

async function removeRemains(home: Home, directory: string): Promise<void> {
  const paths = poolPathsIn(directory);
  await Promise.all((await listMembers(paths)).map((member) => endMember(home, member)));
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    throw ioError(`remove ${directory}`, error);
  }
}

/** Its QEMU ends with its process. */
async function endMember(home: Home, member: PoolMember): Promise<void> {
  const giveUpAt = performance.now() + goneWithinMs;
  for (;;) {
    const lock = await tryLockFile(member.paths.lock);
    if (lock !== null) {
      await removeMember(home, member);
      await lock.release();
      return;
    }
    const state = await readState(member.paths.state).catch(() => null);
    const supervisor = state?.supervisor ?? null;
    if (supervisor !== null && (await isAlive(supervisor))) kill(supervisor.pid);
    if (!(await stat(member.paths.directory).catch(() => null))) return;
    if (performance.now() > giveUpAt) {
      throw new RuntimeError(`a sandbox of the pool in ${member.paths.directory} does not end`, {
        hint: `End its process ${supervisor?.pid ?? ""} by hand.`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended just now.
  }
}

async function idIn(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch(() => "null");
  try {
    return (Object(JSON.parse(text)) as { readonly id?: unknown }).id;
  } catch {
    return null;
  }
}
