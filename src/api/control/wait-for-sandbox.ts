import { isTerminal, isUp, type SandboxStatus } from "../../config/enums.ts";
import { SandboxNotFoundError } from "../../errors/index.ts";
import { isUnlocked } from "../../host/locks/lock.ts";
import type { Operation } from "../../host/operation.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import { watchState } from "../sandbox/watch-state.ts";
import type { SandboxLink } from "./sandbox-link.ts";
import { resultOf, resultOfEnded, resultOfGone, type SandboxStopResult } from "./stop-result.ts";

/** Resolves when the sandbox has ended, or at once when it does not run. Never ends it. */
export async function untilStopped(sandbox: SandboxLink, operation: Operation): Promise<SandboxStopResult> {
  for (;;) {
    operation.throwIfOver();
    let found: FoundSandbox;
    try {
      found = await sandbox.find();
    } catch (error) {
      if (error instanceof SandboxNotFoundError) return resultOfGone(sandbox.name);
      throw error;
    }
    const down = isTerminal(found.status);
    if (down && (await isUnlocked(found.paths.lock))) return resultOf(found);
    // Somebody starts it and has not said so on disk yet, or its supervisor is about to leave.
    if (down || found.status === "starting") {
      await sandbox.waitForChange(operation);
      continue;
    }
    try {
      const ended = await sandbox.use(operation, (connection) => {
        operation.log("waiting for the supervisor to tell of the end");
        return watchState(connection, () => false, operation.signal);
      });
      if (ended !== null) return resultOfEnded(sandbox.name, ended);
    } catch {
      operation.throwIfOver();
      // The supervisor is gone without a word, or is about to be: what is on disk tells.
      await sandbox.waitForChange(operation);
    }
  }
}

/** Resolves when the sandbox has this status. */
export async function untilStatus(
  sandbox: SandboxLink,
  operation: Operation,
  status: SandboxStatus,
): Promise<FoundSandbox> {
  for (;;) {
    const found = await sandbox.find();
    if (found.status === status) return found;
    operation.log(`it is ${found.status}`);
    if (isUp(found.status) && (await watchFor(sandbox, operation, status))) {
      // The supervisor tells of what is on disk, unless it could not write.
      const now = await sandbox.find();
      if (now.status === status) return now;
    }
    await sandbox.waitForChange(operation);
  }
}

/** Waits for the supervisor's word on a status, or on the end. @returns whether there was one */
async function watchFor(sandbox: SandboxLink, operation: Operation, status: SandboxStatus): Promise<boolean> {
  const { signal } = operation;
  try {
    await sandbox.use(operation, (connection) => watchState(connection, (state) => state === status, signal));
    return true;
  } catch {
    operation.throwIfOver();
    return false;
  }
}
