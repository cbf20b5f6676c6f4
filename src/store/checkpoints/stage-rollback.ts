import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncPath } from "../../host/files/atomic-file.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { beginFrom } from "../captures/begin-from.ts";
import { pathsIn } from "../sandboxes.ts";
import { pathsOfCapture, readCapture, suspensionPaths, type SuspensionRecord } from "../suspension.ts";
import { checkpointDirectory, findCheckpoint, type CheckpointOwner } from "./checkpoints.ts";
import { stagedRollback } from "./settle-checkpoints.ts";

/**
 * What a checkpoint can be gone back to with.
 *
 * @throws CheckpointNotFoundError, JsonError, IoError
 */
export async function readCheckpointCapture(owner: CheckpointOwner, id: string): Promise<SuspensionRecord> {
  await findCheckpoint(owner, id);
  const capture = await readCapture(pathsOfCapture(checkpointDirectory(owner, id)));
  // Removed a moment ago: this tells it.
  if (capture === null) await findCheckpoint(owner, id);
  if (capture === null)
    throw ioError(`read the checkpoint ${id}`, new Error("its suspended.json is missing"));
  return capture;
}

/**
 * Gathers what a sandbox is to go back to beside what it is, and changes nothing of that: a disk of its own, and the checkpoint's memory, which
 * nobody writes to. It is decided on later, see `settle-checkpoints.ts`.
 *
 * @throws CheckpointNotFoundError, JsonError, IoError; the reason of the signal. Nothing is left then
 */
export async function stageRollback(owner: CheckpointOwner, id: string, signal?: AbortSignal): Promise<void> {
  const staging = pathsIn(join(owner.directory, stagedRollback));
  try {
    await rm(staging.directory, { recursive: true, force: true });
    await mkdir(staging.directory, { mode: 0o700 });
    await beginFrom(checkpointDirectory(owner, id), staging, { notify: null, checkpoint: id, signal });
    await durable(staging.upper);
    await syncPath(suspensionPaths(staging.directory).directory);
    await syncPath(staging.directory);
  } catch (error) {
    await dropStagedRollback(owner);
    await findCheckpoint(owner, id);
    throw error;
  }
}

/** It is not gone back. */
export async function dropStagedRollback({ directory }: CheckpointOwner): Promise<void> {
  await rm(join(directory, stagedRollback), { recursive: true, force: true }).catch(() => undefined);
}

async function durable(path: string): Promise<void> {
  try {
    await syncPath(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw ioError(`write ${path}`, error);
  }
}
