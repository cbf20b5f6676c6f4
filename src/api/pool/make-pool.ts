import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import { nothingBeside } from "../../config/sandbox/beside-config.ts";
import { configOf } from "../../config/sandbox/effective-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import { PoolAlreadyExistsError, UnsupportedOperationError } from "../../errors/index.ts";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { tryLockFile, withLock } from "../../host/locks/lock.ts";
import type { Operation } from "../../host/operation.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { Home } from "../../store/home.ts";
import {
  askedPatches,
  findPool,
  newPoolRecord,
  poolPathsIn,
  readPool,
  removePoint,
  stagingPrefix,
  writePool,
  type FoundPool,
  type PoolWarming,
} from "../../store/pools/pools.ts";
import { sweepPools } from "../../store/pools/remove-pool.ts";
import type { CreateObserver } from "../sandbox/progress.ts";
import { makePoint, planPoint, type PointPlan } from "./make-point.ts";
import { memberName, type CheckedPool, type PoolWarm } from "./pool-options.ts";

/** What this program knows of a pool and no file does. */
export interface PoolSource {
  /** As it was given here; null: as the pool's record has it. */
  readonly config: SandboxConfig | null;
  readonly beside: BesideConfig;
  readonly warm: PoolWarm | null;
}

/** Of a pool that others have made. */
export const unknownSource: PoolSource = { config: null, beside: nothingBeside, warm: null };

export interface MadePool {
  readonly found: FoundPool;
  readonly source: PoolSource;
}

const idBytes = 8;

/**
 * Makes a pool, or finds the one that was made in the same way. It has no members then.
 *
 * @param claim is given the id of a pool that ends with this program, before it can be found
 * @throws PoolAlreadyExistsError for one that was made otherwise; as {@link planPoint} and {@link makePoint}. Nothing is left then
 */
export async function makePool(
  home: Home,
  pool: CheckedPool,
  claim: (id: string) => Promise<void>,
  operation: Operation,
  observer: CreateObserver,
): Promise<MadePool> {
  const { name, size, warm, maxMemoryMib, isOwned, config, beside } = pool;
  const source: PoolSource = { config, beside, warm };
  const plan = await operation.wait(planPoint(name, config, beside, maxMemoryMib));
  const warming = warmingOf(warm);
  const asked = JSON.stringify({ size, maxMemoryMib, warm: warming, config: plan.asked });
  const there = await readPool(home, name);
  if (there !== null) return { found: sameOr(there, asked), source };
  await makeDirectory(home.pools);
  await sweepPools(home);
  const id = randomHex(idBytes);
  const staging = poolPathsIn(join(home.pools, stagingPrefix + id));
  try {
    await mkdir(staging.directory, { mode: 0o700 });
    await mkdir(staging.members, { mode: 0o700 });
  } catch (error) {
    throw ioError(`make ${staging.directory}`, error);
  }
  const lock = await tryLockFile(staging.making);
  try {
    const point = newPoint();
    await makePoint(
      plan,
      warm,
      join(staging.directory, point),
      async (stored) => {
        const createdAt = new Date().toISOString();
        const limits = { size, maxMemoryMib, config: stored, asked, warm: warming };
        await writePool(staging.record, newPoolRecord({ id, name, createdAt, ...limits, point, isOwned }));
        if (isOwned) await claim(id);
        await show(home, staging.directory, name, asked);
      },
      operation,
      observer,
    );
    return { found: await findPool(home, name), source };
  } finally {
    // Of one that was made it has another name by now.
    await rm(staging.directory, { recursive: true, force: true }).catch(() => undefined);
    await lock?.release();
  }
}

/** Somebody may have made it meanwhile: then his is the one. */
async function show(home: Home, staging: string, name: string, asked: string): Promise<void> {
  const path = join(home.pools, name);
  try {
    await rename(staging, path);
  } catch (error) {
    const code = errorCode(error);
    const there = code === "ENOTEMPTY" || code === "EEXIST" ? await readPool(home, name) : null;
    if (there === null) throw ioError(`make ${path}`, error);
    sameOr(there, asked);
  }
}

/** @throws PoolAlreadyExistsError */
function sameOr(found: FoundPool, asked: string): FoundPool {
  const { name } = found.record;
  if (found.record.asked === asked) return found;
  throw new PoolAlreadyExistsError(`there is a pool named ${name} that was made with other settings`, {
    hint: `Use it as it is (Sandbox.getPool, msb run --pool ${name}), or remove it (msb pool rm ${name}).`,
  });
}

function warmingOf(warm: PoolWarm | null): PoolWarming {
  if (warm === null) return { kind: "none" };
  return typeof warm === "string" ? { kind: "command", script: warm } : { kind: "function" };
}

/**
 * Makes the copy anew that a pool's sandboxes go on from, as it does not work any more.
 *
 * @param failed the pool as it was found with the one that does not work
 * @throws UnsupportedOperationError when only the program that made it can; as {@link makePoint}: it is as it was then
 */
export async function remakePoint(
  home: Home,
  failed: FoundPool,
  source: PoolSource,
  operation: Operation,
  observer: CreateObserver,
): Promise<FoundPool> {
  const { name } = failed.record;
  return await withLock(failed.paths.making, async () => {
    const found = await findPool(home, name);
    const { paths, record } = found;
    // Somebody else has done it.
    if (record.point !== failed.record.point) return found;
    const warm = source.warm ?? warmOf(found);
    const plan = await planAgain(record.name, found, source);
    const point = newPoint();
    try {
      const keep = (config: FoundPool["record"]["config"]): Promise<void> =>
        writePool(paths.record, { ...record, config, point });
      await makePoint(plan, warm, join(paths.directory, point), keep, operation, observer);
    } catch (error) {
      const now = await readPool(home, name).catch(() => null);
      if (now?.record.point !== point) await removePoint(paths, point);
      throw error;
    }
    await removePoint(paths, record.point);
    return await findPool(home, name);
  });
}

/** The same image and snapshot, whatever their names mean by now. */
async function planAgain(name: string, { record }: FoundPool, source: PoolSource): Promise<PointPlan> {
  const warmed = memberName(name);
  const config = source.config ?? {
    ...configOf({ name: warmed, config: record.config }),
    patches: askedPatches(record),
  };
  const { imageDigest, snapshotDigest: fromSnapshot } = record.config;
  const same = { ...config, name: warmed, fromSnapshot };
  const plan = await planPoint(name, same, source.beside, record.maxMemoryMib);
  return { ...plan, creation: { ...plan.creation, stored: { ...plan.creation.stored, imageDigest } } };
}

/** @throws UnsupportedOperationError */
function warmOf({ record: { name, warm } }: FoundPool): PoolWarm | null {
  switch (warm.kind) {
    case "none":
      return null;
    case "command":
      return warm.script;
    case "function":
      throw new UnsupportedOperationError(`the sandboxes of the pool ${name} cannot be started any more`, {
        hint: "Another QEMU, kernel or version is installed, and only the program that made the pool can warm it again: have that do it, with msb pool rm before.",
      });
  }
}

function newPoint(): string {
  return `point-${randomHex(4)}`;
}
