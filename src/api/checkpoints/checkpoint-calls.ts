import { checkOneOf } from "../../config/checks.ts";
import { GuestFlushes, isTerminal, isUp } from "../../config/enums.ts";
import { checkCheckpointName } from "../../config/sandbox-name.ts";
import { InvalidConfigError, RuntimeError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { randomHex } from "../../host/system/entropy.ts";
import {
  findCheckpoint,
  listCheckpoints,
  removeCheckpoint,
  type CheckpointOwner,
} from "../../store/checkpoints/checkpoints.ts";
import { decideRollback } from "../../store/checkpoints/settle-checkpoints.ts";
import {
  dropStagedRollback,
  readCheckpointCapture,
  stageRollback,
} from "../../store/checkpoints/stage-rollback.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { startSandbox, type StartedSandbox } from "../sandbox/start.ts";
import { checkpointOf, type Checkpoint, type CheckpointOptions, type RollbackOptions } from "./checkpoint.ts";

/** Of a guest with many gigabytes, on a slow disk, ms. */
const longestMs = 600_000;

/** @throws as `SandboxLifecycle.checkpoint` */
export async function makeCheckpoint(
  control: SandboxControl,
  name: string | undefined,
  { guestFlush = "auto" }: CheckpointOptions,
  operation: Operation,
): Promise<Checkpoint> {
  const flush = checkOneOf("guestFlush", guestFlush, GuestFlushes) === "required";
  if (name !== undefined) checkCheckpointName(name);
  const id = name ?? randomHex(6);
  await control.request(operation, { type: "MakeCheckpoint", name: id, flush }, "Captured", longestMs);
  return checkpointOf(await findCheckpoint(await ownerOf(control), id));
}

/** Oldest first. */
export async function readCheckpoints(control: SandboxControl): Promise<Checkpoint[]> {
  return (await listCheckpoints(await ownerOf(control))).map(checkpointOf);
}

export async function dropCheckpoint(
  control: SandboxControl,
  checkpoint: Checkpoint | string,
): Promise<void> {
  const id = idOf(checkpoint);
  await removeCheckpoint(await ownerOf(control), id);
}

/**
 * Has a sandbox go back, whatever it does.
 *
 * @param attached whether one that does not run is this process's from then on
 * @returns one that did not run; null: its process has done it
 */
export async function rollBack(
  control: SandboxControl,
  checkpoint: Checkpoint | string,
  attached: boolean,
  { secrets, hooks }: RollbackOptions,
  operation: Operation,
): Promise<StartedSandbox | null> {
  const id = idOf(checkpoint);
  for (;;) {
    operation.throwIfOver();
    const { status } = await control.find();
    if (isUp(status)) {
      if (secrets !== undefined || hooks !== undefined)
        throw new InvalidConfigError(
          `sandbox ${control.name} runs, and keeps the secrets and hooks that it has`,
          {
            hint: "Leave them out, or stop it first.",
          },
        );
      await control.request(operation, { type: "RollBack", checkpoint: id }, "Done", longestMs);
      return null;
    }
    if (isTerminal(status)) {
      return await startSandbox(operation, control, attached, { secrets, hooks }, (found) =>
        goBack(control, found, id, operation.signal),
      );
    }
    operation.log("it is starting");
    await control.waitForChange(operation);
  }
}

/** One that does not run, whose lock the caller has. */
async function goBack(
  { home, name }: SandboxControl,
  { record, paths }: FoundSandbox,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const owner = { name, directory: paths.directory };
  const suspended = await readCheckpointCapture(owner, id);
  const { whyNotHere } = await import("../../start/inputs/same-host.ts");
  const why = await whyNotHere({ home, record, paths }, suspended, signal);
  if (why !== null)
    throw new RuntimeError(`sandbox ${name} cannot go back to its checkpoint ${id}: ${why}`, {
      hint: `It is as it was. Start it ("msb start ${name}"), or go back under what the checkpoint was made with.`,
    });
  try {
    await stageRollback(owner, id, signal);
    await decideRollback(owner.directory);
  } finally {
    await dropStagedRollback(owner);
  }
}

async function ownerOf(control: SandboxControl): Promise<CheckpointOwner> {
  const { record, paths } = await control.find();
  return { name: record.name, directory: paths.directory };
}

/** @throws InvalidConfigError */
function idOf(checkpoint: Checkpoint | string): string {
  if (typeof checkpoint !== "string" && typeof (checkpoint as Checkpoint | null)?.id !== "string")
    throw new InvalidConfigError("what to go back to is no checkpoint", {
      hint: "Give one that checkpoint() or checkpoints() has returned, or its id.",
    });
  const id = typeof checkpoint === "string" ? checkpoint : checkpoint.id;
  checkCheckpointName(id);
  return id;
}
