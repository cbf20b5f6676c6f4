import { isTerminal } from "../../config/enums.ts";
import { ProtocolError, RuntimeError, SandboxNotFoundError } from "../../errors/index.ts";
import { isUnlocked } from "../../host/locks/lock.ts";
import type { Operation } from "../../host/operation.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import { killWaitMs } from "./control-limits.ts";
import { signalSupervisor, stopSignalOf } from "./found-sandbox.ts";
import type { SandboxLink } from "./sandbox-link.ts";
import type { SandboxStopResult } from "./stop-result.ts";
import { untilStopped } from "./wait-for-sandbox.ts";

/** @param over aborted when the end was seen: what starts from then on is another run, and not to be ended */
export async function requestEnd(
  sandbox: SandboxLink,
  operation: Operation,
  message: Message,
  over?: AbortSignal,
): Promise<void> {
  operation.throwIfOver();
  let found: FoundSandbox;
  try {
    found = await sandbox.find();
  } catch (error) {
    // Gone already: an ephemeral one, or one that somebody else removed.
    if (error instanceof SandboxNotFoundError) return;
    throw error;
  }
  if (over?.aborted === true) return;
  if (isTerminal(found.status)) {
    if (await isUnlocked(found.paths.lock)) return;
    await sandbox.waitForChange(operation);
    await requestEnd(sandbox, operation, message, over);
    return;
  }
  if (found.status === "starting") {
    operation.log("it is starting: a signal to its supervisor");
    await signalSupervisor(found, stopSignalOf(found));
    return;
  }
  try {
    await sandbox.request(operation, message, "Done");
  } catch (error) {
    operation.throwIfOver();
    const now = await sandbox.find().catch(() => null);
    if (now === null || isTerminal(now.status)) return;
    // Another run is not the one that was to end.
    if (now.state.supervisor?.started !== found.state.supervisor?.started) return;
    // Its process does not answer, or speaks another version of the protocol.
    if (error instanceof RuntimeError || error instanceof ProtocolError)
      await signalSupervisor(now, stopSignalOf(now));
    else throw error;
  }
}

/** Waits for the end that was asked for. A supervisor that hangs does not even answer; QEMU dies with it. */
export async function endWithin(
  sandbox: SandboxLink,
  operation: Operation,
  message: Message,
  ms: number,
): Promise<SandboxStopResult> {
  const over = new AbortController();
  const ended = untilStopped(sandbox, operation);
  ended.catch(() => undefined);
  const requested = requestEnd(sandbox, operation, message, over.signal);
  const seen = await orTimeout(Promise.race([ended, requested.then(() => ended)]), ms);
  over.abort();
  if (seen !== null) return seen;
  const found = await sandbox.find();
  operation.log(`it did not end within ${ms} ms: SIGKILL to its supervisor`);
  await signalSupervisor(found, "SIGKILL");
  const atLast = await orTimeout(ended, killWaitMs);
  if (atLast !== null) return atLast;
  throw new RuntimeError(`sandbox ${sandbox.name} did not end`, {
    hint: `End its process ${found.state.supervisor?.pid ?? ""} by hand.`,
  });
}
