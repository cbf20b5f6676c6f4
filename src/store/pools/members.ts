import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { tryLockFile, withLock, type FileLock } from "../../host/locks/lock.ts";
import { identifyProcess } from "../../host/process/process-identity.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { socketPath, type Home } from "../home.ts";
import { newSandboxId, pathsIn, type SandboxPaths } from "../sandboxes.ts";
import { initialState, writeState } from "../state.ts";
import { membersWanted, pointOf, type FoundPool, type PoolPaths } from "./pools.ts";

/** One of a pool's sandboxes that nobody has taken yet. */
export interface PoolMember {
  readonly id: string;
  /** Whether it waits to be taken: it is being started otherwise. */
  readonly isReady: boolean;
  readonly paths: SandboxPaths;
}

const startingPrefix = ".";

/** All directories of members, of dead ones too, those that are ready first. @throws IoError */
export async function listMembers({ members }: PoolPaths): Promise<PoolMember[]> {
  let names: string[];
  try {
    names = await readdir(members);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${members}`, error);
  }
  return names
    .map((name) => ({
      id: name.replace(startingPrefix, ""),
      isReady: !name.startsWith(startingPrefix),
      paths: pathsIn(join(members, name)),
    }))
    .sort((a, b) => Number(b.isReady) - Number(a.isReady));
}

/** Those whose processes live. What others have left is removed. @throws IoError, also when there is no such pool */
export async function livingMembers(home: Home, paths: PoolPaths): Promise<PoolMember[]> {
  return await withLock(paths.lock, () => sweepMembers(home, paths));
}

/** The caller has the pool's lock: nobody's directory is without its own lock then. */
async function sweepMembers(home: Home, paths: PoolPaths): Promise<PoolMember[]> {
  const living: PoolMember[] = [];
  for (const member of await listMembers(paths)) {
    const lock = await tryLockFile(member.paths.lock);
    if (lock !== null) {
      await removeMember(home, member).catch(() => undefined);
      await lock.release();
    } else if (await isThere(member.paths.directory)) living.push(member);
  }
  return living;
}

/** One that was taken meanwhile is not. */
async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Removes what a member is on the disk. Whoever calls this has its lock, or knows that its process is gone. */
export async function removeMember(
  home: Home,
  { id, paths }: Pick<PoolMember, "id" | "paths">,
): Promise<void> {
  await rm(socketPath(home, id), { force: true });
  await rm(paths.directory, { recursive: true, force: true });
}

/** A place in a pool that this process has. */
export interface MemberPlace {
  readonly id: string;
  readonly paths: SandboxPaths;
  readonly lock: FileLock;
}

/**
 * Makes the directory of one more member, unless there are as many as there are to be.
 *
 * @returns null when there are enough
 * @throws IoError, also when the pool is being removed
 */
export async function joinPool(home: Home, { paths, record }: FoundPool): Promise<MemberPlace | null> {
  return await withLock(paths.lock, async () => {
    if ((await sweepMembers(home, paths)).length >= membersWanted(record)) return null;
    const id = newSandboxId();
    const place = pathsIn(join(paths.members, startingPrefix + id));
    try {
      await mkdir(place.directory, { mode: 0o700 });
      const lock = await tryLockFile(place.lock);
      if (lock === null) throw new Error("its lock is held by someone else");
      return { id, paths: place, lock };
    } catch (error) {
      throw ioError(`add a sandbox to the pool ${record.name}`, error);
    }
  });
}

/** Gives a member what a sandbox has on the disk, but its name. @throws IoError */
export async function fillMember({ paths }: MemberPlace, pool: FoundPool, hasDisk: boolean): Promise<void> {
  const supervisor = await identifyProcess(process.pid);
  await writeState(paths.state, { ...initialState(), status: "starting", supervisor });
  await mkdir(paths.logs, { mode: 0o700 });
  if (hasDisk) await copySparse(pathsIn(pointOf(pool)).upper, paths.upper);
}

/** From now on it is found by those who take one. @returns where it is now. @throws IoError when the pool was removed */
export async function showMember({ id, paths }: MemberPlace, { members }: PoolPaths): Promise<SandboxPaths> {
  const shown = pathsIn(join(members, id));
  try {
    await rename(paths.directory, shown.directory);
  } catch (error) {
    throw ioError(`move ${paths.directory}`, error);
  }
  return shown;
}
