import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import {
  CheckpointAlreadyExistsError,
  CheckpointNotFoundError,
  JsonError,
  RuntimeError,
} from "../../errors/index.ts";
import { syncPath, writeFileAtomically } from "../../host/files/atomic-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { pathsIn } from "../sandboxes.ts";
import { pathsOfCapture } from "../suspension.ts";
import { checkpointsName, newPrefix, removedPrefix, sweepCheckpoints } from "./settle-checkpoints.ts";

const recordSchema = v.object({
  format: v.literal(1),
  id: v.string(),
  /** ISO 8601. */
  createdAt: v.string(),
  /** What its files take on the host's disk. */
  memoryBytes: v.number(),
  diskBytes: v.number(),
});

/** What there is to know about a checkpoint without using it. */
export type CheckpointRecord = v.InferOutput<typeof recordSchema>;

/** So many a sandbox has at most: each takes room on the disk, and nothing removes them by itself. */
export const mostCheckpoints = 100;

/** Whose checkpoints they are. */
export interface CheckpointOwner {
  readonly name: string;
  /** Its directory. */
  readonly directory: string;
}

/** Where a checkpoint is. */
export function checkpointDirectory({ directory }: CheckpointOwner, id: string): string {
  return join(directory, checkpointsName, id);
}

/** Oldest first. One whose record cannot be read is passed over. @throws IoError */
export async function listCheckpoints(owner: CheckpointOwner): Promise<CheckpointRecord[]> {
  const ids = (await entriesOf(owner)).filter((name) => !name.startsWith("."));
  const records = await Promise.all(ids.map((id) => readCheckpoint(owner, id).catch(() => null)));
  return records
    .filter((record) => record !== null)
    .sort((a, b) => (a.createdAt === b.createdAt ? 0 : a.createdAt < b.createdAt ? -1 : 1));
}

/** @throws CheckpointNotFoundError, JsonError, IoError */
export async function findCheckpoint(owner: CheckpointOwner, id: string): Promise<CheckpointRecord> {
  const found = await readCheckpoint(owner, id);
  if (found === null) throw notFound(owner, id);
  return found;
}

/** @throws CheckpointNotFoundError, IoError */
export async function removeCheckpoint(owner: CheckpointOwner, id: string): Promise<void> {
  const aside = checkpointDirectory(owner, removedPrefix + randomHex(8));
  try {
    await rename(checkpointDirectory(owner, id), aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw notFound(owner, id);
    throw ioError(`remove the checkpoint ${id}`, error);
  }
  try {
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    throw ioError(`remove ${aside}`, error);
  }
  await sweepCheckpoints(owner.directory, [removedPrefix]);
}

/**
 * Makes a checkpoint: nobody finds it before it is whole, and on the disk.
 *
 * @param fill captures the sandbox into the directory
 * @throws CheckpointAlreadyExistsError; RuntimeError when there are too many; IoError; what `fill` throws. Nothing is left then
 */
export async function makeCheckpoint(
  owner: CheckpointOwner,
  id: string,
  fill: (directory: string) => Promise<void>,
): Promise<CheckpointRecord> {
  const all = join(owner.directory, checkpointsName);
  const names = (await entriesOf(owner)).filter((name) => !name.startsWith("."));
  if (names.includes(id)) throw exists(owner, id);
  if (names.length >= mostCheckpoints)
    throw new RuntimeError(`sandbox ${owner.name} has ${mostCheckpoints} checkpoints already`, {
      hint: `Remove those that are not needed any more (msb checkpoint rm ${owner.name} CHECKPOINT).`,
    });
  const staging = join(all, newPrefix + randomHex(8));
  try {
    await makeDirectories(owner.directory, all, staging);
    await fill(staging);
    const record = await describe(staging, id);
    await writeFileAtomically(join(staging, recordName), `${JSON.stringify(record)}\n`);
    await commit(owner, staging, id);
    return record;
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

const recordName = "checkpoint.json";

async function makeDirectories(sandbox: string, all: string, staging: string): Promise<void> {
  try {
    if (await makeDirectory(all)) await syncPath(sandbox);
    await mkdir(staging, { mode: 0o700 });
  } catch (error) {
    throw ioError(`make ${staging}`, error);
  }
}

/** Never its parent, which may be removed meanwhile. @returns whether it was not there */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** Its files are on the disk from here on, so what they take is known. */
async function describe(directory: string, id: string): Promise<CheckpointRecord> {
  const capture = pathsOfCapture(directory);
  const [memory, state, disk] = await Promise.all(
    [capture.memory, capture.state, pathsIn(directory).upper].map(settledBytes),
  );
  const memoryBytes = (memory ?? 0) + (state ?? 0);
  return { format: 1, id, createdAt: new Date().toISOString(), memoryBytes, diskBytes: disk ?? 0 };
}

/** Has a file on the disk. @returns what it takes there, 512-byte blocks times their size; 0 when there is none */
async function settledBytes(path: string): Promise<number> {
  try {
    await using file = await open(path, "r+");
    await file.sync();
    return (await file.stat()).blocks * 512;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw ioError(`write ${path}`, error);
  }
}

async function commit(owner: CheckpointOwner, staging: string, id: string): Promise<void> {
  try {
    await syncPath(staging);
    await rename(staging, checkpointDirectory(owner, id));
    await syncPath(join(owner.directory, checkpointsName));
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOTEMPTY" || code === "EEXIST") throw exists(owner, id);
    throw ioError(`make the checkpoint ${id}`, error);
  }
}

async function readCheckpoint(owner: CheckpointOwner, id: string): Promise<CheckpointRecord | null> {
  const path = join(checkpointDirectory(owner, id), recordName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read ${path}`, error);
  }
  try {
    return v.parse(recordSchema, JSON.parse(text));
  } catch (error) {
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: `Remove the checkpoint (msb checkpoint rm ${owner.name} ${id}).`,
    });
  }
}

async function entriesOf({ directory }: CheckpointOwner): Promise<string[]> {
  const all = join(directory, checkpointsName);
  try {
    return await readdir(all);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${all}`, error);
  }
}

/** Whether a sandbox that has gone is the reason is for others to say. */
function notFound({ name }: CheckpointOwner, id: string): CheckpointNotFoundError {
  return new CheckpointNotFoundError(`sandbox ${name} has no checkpoint ${id}`, {
    hint: `See "msb checkpoint ls ${name}" for those that it has.`,
  });
}

function exists({ name }: CheckpointOwner, id: string): CheckpointAlreadyExistsError {
  return new CheckpointAlreadyExistsError(`sandbox ${name} has a checkpoint ${id} already`, {
    hint: `Choose another name, or remove it first (msb checkpoint rm ${name} ${id}).`,
  });
}
