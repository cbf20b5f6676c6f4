import { once } from "node:events";
import { readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { createConnection } from "node:net";
import { basename, join } from "node:path";
import { RuntimeError } from "../../errors/index.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { isAlive } from "../../host/process/process-identity.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { socketPath, type Home } from "../home.ts";
import type { Discard } from "../leftovers.ts";
import { readState } from "../state.ts";
import { listMembers, removeMember, type PoolMember } from "./members.ts";
import { noSuchPool, poolPaths, poolPathsIn, readPool, removedPrefix, stagingPrefix } from "./pools.ts";

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

/**
 * Clears what processes left that were killed: while they made or removed a pool, or that made one which ends with them, before any of its
 * members was there to remove it.
 */
export async function sweepPools(
  home: Home,
  discard: Discard = (path) => removePoolLeftover(home, path),
): Promise<void> {
  for (const name of await readdir(home.pools).catch(() => [])) {
    const path = join(home.pools, name);
    if (name.startsWith(removedPrefix)) await discard(path).catch(() => undefined);
    else if (name.startsWith(stagingPrefix)) await sweepStaging(path, discard);
    else if (await isOrphan(home, name)) await discard(path).catch(() => undefined);
  }
}

/** @throws as {@link removePool} */
export async function removePoolLeftover(home: Home, path: string): Promise<void> {
  const name = basename(path);
  // It stays where it is when it is another one by now.
  if (!name.startsWith(".")) await removePool(home, name, await idIn(poolPathsIn(path).record));
  else await removeRemains(home, path);
}

async function sweepStaging(path: string, discard: Discard): Promise<void> {
  // Its maker holds the lock for as long as it works on it, except in the first moment.
  const made = await stat(path).catch(() => null);
  if (made === null || Date.now() - made.mtimeMs < 60_000) return;
  const lock = await tryLockFile(poolPathsIn(path).making).catch(() => null);
  if (lock === null) return;
  await discard(path).catch(() => undefined);
  await lock.release();
}

/** Whether a pool was to end with a program that is gone: that one listened before anybody found the pool. */
async function isOrphan(home: Home, name: string): Promise<boolean> {
  const { isOwned = false, id = "" } = (await readPool(home, name).catch(() => null))?.record ?? {};
  if (!isOwned) return false;
  const socket = createConnection(socketPath(home, id));
  try {
    await once(socket, "connect");
    return false;
  } catch (error) {
    return ["ECONNREFUSED", "ENOENT"].includes(errorCode(error) ?? "");
  } finally {
    socket.destroy();
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

/** @returns null when nobody can tell */
async function idIn(path: string): Promise<string | null> {
  const text = await readFile(path, "utf8").catch(() => "null");
  try {
    const { id } = Object(JSON.parse(text)) as { readonly id?: unknown };
    return typeof id === "string" ? id : null;
  } catch {
    return null;
  }
}
