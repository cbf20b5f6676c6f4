import { open } from "node:fs/promises";
import { RuntimeError } from "../../errors/index.ts";
import { syncPath } from "../../host/files/atomic-file.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import type { QmpClient } from "../qmp/qmp.ts";
import { GuestMemory } from "./guest-memory.ts";
import { captureState } from "./save-restore.ts";

/** Where a copy of a running machine goes. Nothing may be there. */
export interface Capture {
  readonly memoryPath: string;
  readonly statePath: string;
  /** Done while what does not change is copied. */
  readonly before?: () => Promise<void>;
  /** Has the guest ready to be held. Resolves with what throws when it is not any more, once it is held. */
  readonly ready: () => Promise<() => void>;
  /** Copies what else belongs to that moment, such as disks, at the same time. */
  readonly beside?: () => Promise<void>;
  /** Called when all is copied, before the machine goes on. */
  readonly meanwhile?: () => Promise<void>;
  /**
   * Whether the machine goes on afterwards, if it ran. It does in any case when this fails. Where it does not, the copy is all that is left of it,
   * and is on its way to the disk early.
   */
  readonly goesOn: boolean;
}

export interface Captured {
  /** How long the guest stood still for it, ms. */
  readonly heldMs: number;
  /** Bytes of memory that were copied in that time. */
  readonly ownBytes: number;
}

/** A machine that is copied. */
export interface CapturedMachine {
  readonly pid: number;
  readonly qmp: QmpClient;
  /** Whether its processors run, as QEMU has told last. */
  readonly runs: () => boolean;
  /** How often they have begun to, as QEMU has told. */
  readonly resumes: () => number;
  readonly pause: () => Promise<void>;
  readonly resume: () => Promise<void>;
}

/**
 * Copies a machine, which stands still for that.
 *
 * @param memoryBytes what its guest has
 * @throws QmpError, IoError, RuntimeError. The machine goes on then too
 */
export async function captureMachine(
  machine: CapturedMachine,
  memoryBytes: number,
  { memoryPath, statePath, before, ready, beside, meanwhile, goesOn }: Capture,
): Promise<Captured> {
  const memory = await GuestMemory.find(machine.pid, memoryBytes);
  // That does not change, so it is copied first.
  const base = memory.isPrivate ? copySparse(memory.filePath, memoryPath) : Promise.resolve();
  const rehearsed = memory.isPrivate ? memory.rehearse() : Promise.resolve();
  // One that fails is told when the others do nothing any more.
  for (const done of await Promise.allSettled([base, rehearsed, before?.()]))
    if (done.status === "rejected") throw done.reason;
  const synced = !goesOn && memory.isPrivate ? syncPath(memoryPath) : Promise.resolve();
  synced.catch(() => undefined);
  const isStill = await ready();
  const runs = machine.runs();
  const begun = performance.now();
  if (runs) await machine.pause();
  const resumes = machine.resumes();
  try {
    isStill();
    // One that fails is told when the other does nothing any more.
    const [copied, others] = await Promise.allSettled([
      writeDown(machine.qmp, memory, memoryPath, statePath),
      beside?.(),
    ]);
    if (copied.status === "rejected") throw copied.reason;
    if (others.status === "rejected") throw others.reason;
    const ownBytes = copied.value;
    await synced;
    await meanwhile?.();
    if (machine.resumes() !== resumes) throw new RuntimeError("the machine went on while it was copied");
    if (runs && goesOn) await machine.resume();
    return { heldMs: performance.now() - begun, ownBytes };
  } catch (error) {
    if (runs) await machine.resume();
    throw error;
  }
}

/** @returns bytes of memory that were copied */
async function writeDown(
  qmp: QmpClient,
  memory: GuestMemory,
  memoryPath: string,
  statePath: string,
): Promise<number> {
  await captureState(qmp, statePath);
  if (!memory.isPrivate) {
    await copySparse(memory.filePath, memoryPath);
    return 0;
  }
  await using target = await open(memoryPath, "r+");
  return await memory.copyOwn(target);
}
