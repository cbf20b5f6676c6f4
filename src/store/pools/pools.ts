import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { storedConfigSchema } from "../../config/sandbox/stored-config.ts";
import { IoError, JsonError, PoolNotFoundError, UnsupportedOperationError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";

/** Raised when what is stored changes its meaning. */
const poolFormat = 1;

const recordSchema = v.object({
  format: v.literal(poolFormat),
  /** Identifies this pool among all that ever had its name. */
  id: v.string(),
  name: v.string(),
  createdAt: v.string(),
  /** So many sandboxes are kept ready. */
  size: v.number(),
  /** What all of them together may have as memory, MiB; null: as much as they like. */
  maxMemoryMib: v.nullable(v.number()),
  /** Of each of its sandboxes. */
  config: storedConfigSchema,
  /** What was asked for, by which two programs know that they mean the same; JSON. */
  asked: v.string(),
  /** How the sandbox was warmed that all are copies of. */
  warm: v.variant("kind", [
    v.object({ kind: v.literal("none") }),
    v.object({ kind: v.literal("command"), script: v.string() }),
    v.object({ kind: v.literal("function") }),
  ]),
  /** The directory, in that of the pool, with the copy that its sandboxes go on from. */
  point: v.string(),
  /** Whether it ends with the program that made it, which listens at its socket. */
  isOwned: v.boolean(),
});

/** What `pool.json` says. */
export type PoolRecord = v.InferOutput<typeof recordSchema>;
export type PoolWarming = PoolRecord["warm"];

/** A record of now. */
export function newPoolRecord(fields: Omit<PoolRecord, "format">): PoolRecord {
  return { format: poolFormat, ...fields };
}

/** The files of one pool. */
export interface PoolPaths {
  readonly directory: string;
  readonly record: string;
  /** Held for a moment by whoever adds a member. */
  readonly lock: string;
  /** Held by whoever makes the copy that its sandboxes go on from anew. */
  readonly making: string;
  /** Its members, each in a directory named by its id; one that is not ready yet has a dot before it. */
  readonly members: string;
  /** What the processes of members say that are none of a sandbox yet. */
  readonly log: string;
}

/** A pool as found on disk. */
export interface FoundPool {
  readonly paths: PoolPaths;
  readonly record: PoolRecord;
}

// A pool's name begins with a letter or a digit, so these can never be one.
export const stagingPrefix = ".new-";
export const removedPrefix = ".removed-";

export function poolPaths(home: Home, name: string): PoolPaths {
  return poolPathsIn(join(home.pools, name));
}

export function poolPathsIn(directory: string): PoolPaths {
  return {
    directory,
    record: join(directory, "pool.json"),
    lock: join(directory, "lock"),
    making: join(directory, "making"),
    members: join(directory, "members"),
    log: join(directory, "pool.log"),
  };
}

/** Where the copy is that the pool's sandboxes go on from. */
export function pointOf({ paths, record }: FoundPool): string {
  return join(paths.directory, record.point);
}

/** What the sandbox was patched with that all are copies of: it is on the disk that they begin with, and in their configuration no more. */
export function askedPatches({ asked }: PoolRecord): PoolRecord["config"]["patches"] {
  return v.parse(v.object({ config: storedConfigSchema }), JSON.parse(asked)).config.patches;
}

/** How many members it is to have. */
export function membersWanted({ size, maxMemoryMib, config }: PoolRecord): number {
  return maxMemoryMib === null ? size : Math.min(size, Math.floor(maxMemoryMib / config.memoryMib));
}

/** @throws IoError */
export async function writePool(path: string, record: PoolRecord): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** @returns null when there is none. @throws JsonError, UnsupportedOperationError for one of a later version, IoError */
export async function readPool(home: Home, name: string): Promise<FoundPool | null> {
  const paths = poolPaths(home, name);
  let text: string;
  try {
    text = await readFile(paths.record, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${paths.record}`, error);
  }
  const hint = `Remove the pool (msb pool rm ${name}), and create it again.`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new JsonError(`${paths.record} is damaged`, { cause, hint });
  }
  const format = (Object(parsed) as { readonly format?: unknown }).format;
  if (typeof format === "number" && format > poolFormat)
    throw new UnsupportedOperationError(`a later version of microsandbox made the pool ${name}`, { hint });
  const record = v.safeParse(recordSchema, parsed);
  if (!record.success) throw new JsonError(`${paths.record} is damaged`, { cause: record.issues[0], hint });
  return { paths, record: record.output };
}

/** @throws PoolNotFoundError; as {@link readPool} */
export async function findPool(home: Home, name: string): Promise<FoundPool> {
  const found = await readPool(home, name);
  if (found === null) throw noSuchPool(name);
  return found;
}

export function noSuchPool(name: string): PoolNotFoundError {
  return new PoolNotFoundError(`no pool is named ${name}`, {
    hint: 'See "msb pool ls" for the ones there are.',
  });
}

/** The names of all pools, whether they can be read or not. @throws IoError */
export async function poolNames(home: Home): Promise<string[]> {
  try {
    return (await readdir(home.pools)).filter((name) => !name.startsWith(".")).sort();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${home.pools}`, error);
  }
}

/** The records of all pools, for whoever removes what none of them has. @throws IoError when one of them cannot be read */
export async function everyPool(home: Home): Promise<PoolRecord[]> {
  const records: PoolRecord[] = [];
  for (const name of await poolNames(home)) {
    try {
      const found = await readPool(home, name);
      if (found !== null) records.push(found.record);
    } catch (error) {
      throw new IoError(`cannot tell what the pool ${name} needs: ${String(error)}`, {
        cause: error,
        hint: `Remove it ("msb pool rm ${name}").`,
      });
    }
  }
  return records;
}

/** A copy that nobody begins from any more. */
export async function removePoint(paths: PoolPaths, point: string): Promise<void> {
  await rm(join(paths.directory, point), { recursive: true, force: true }).catch(() => undefined);
}
