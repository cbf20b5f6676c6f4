import { once } from "node:events";
import { BootStartError, ProtocolError, RuntimeError, type MicrosandboxError } from "../../errors/index.ts";
import { connectWithSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { socketPath, type Home } from "../../store/home.ts";
import { listMembers } from "../../store/pools/members.ts";
import type { PoolPaths } from "../../store/pools/pools.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { killWaitMs } from "../control/control-limits.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { serveParts, type ProgramParts } from "../providers/program-parts.ts";
import { keptSecrets } from "../providers/run-secrets.ts";
import type { StartObserver } from "../sandbox/progress.ts";
import type { StartedSandbox } from "../sandbox/start.ts";
import { StartWatch } from "../sandbox/start-watch.ts";

/** What is to become of a member that is taken. */
export interface Taking {
  readonly home: Home;
  /** The id of the pool that is meant: there may be another one of its name by now. */
  readonly poolId: string;
  /** The record of the sandbox with the id of the member. */
  readonly recordFor: (id: string) => SandboxRecord;
  readonly parts: ProgramParts;
  readonly attached: boolean;
  readonly observer: StartObserver;
}

/**
 * Takes a member that waits.
 *
 * @returns null when there is none; those that did not work were as good as none
 * @throws SandboxAlreadyExistsError; InvalidConfigError, IoError for what is wrong with what was asked for; the signal's reason
 */
export async function takeMember(pool: PoolPaths, taking: Taking): Promise<StartedSandbox | null> {
  for (const { id, isReady } of await listMembers(pool)) {
    if (!isReady) break;
    const taken = await adopt(id, taking);
    if (taken !== null) return taken;
  }
  return null;
}

/** @returns null when it is taken, gone, or does not work */
async function adopt(id: string, taking: Taking): Promise<StartedSandbox | null> {
  const { home, poolId, recordFor, parts, attached, observer } = taking;
  const record = recordFor(id);
  const signal = observer.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const socket = connectWithSharedBuffer(socketPath(home, id));
  try {
    await once(socket, "connect");
  } catch {
    return null;
  }
  const request = { protocolVersion: PROTOCOL_VERSION, pool: poolId, attached, record };
  socket.write(`${JSON.stringify(request)}\n`);
  const watch = new StartWatch(observer);
  const greeting = {
    message: (message: Parameters<StartWatch["message"]>[0]) => {
      watch.message(message);
    },
    lost: (error: Error) => {
      watch.fail(error);
    },
  };
  const connection = SupervisorConnection.inherited(
    socket,
    greeting,
    await serveParts(record.config.mounts, parts),
  );
  const release = connection.hold();
  try {
    const report = await unlessAborted(watch.started, signal);
    const kept = { ...parts, secrets: keptSecrets(parts.secrets) };
    return { control: new SandboxControl(home, record, connection, true, kept), report };
  } catch (error) {
    const isLost = connection.lost;
    connection.close();
    // It may have become the sandbox by now, and nobody is told of it.
    const left = new SandboxControl(home, record, null, false);
    if (!isLost && !watch.hasFailed) await killed(left);
    // Its process may take a moment to be gone.
    await left.remove().catch(() => undefined);
    if (!signal.aborted && (isLost || (watch.hasFailed && isOfTheMember(error)))) return null;
    throw error;
  } finally {
    release();
  }
}

async function killed(control: SandboxControl): Promise<void> {
  await control
    .run("discard sandbox", {}, (operation) => control.kill(operation, killWaitMs))
    .catch(() => undefined);
}

/** Another one may work. */
export function isOfTheMember(error: unknown): error is MicrosandboxError {
  return error instanceof BootStartError || error instanceof RuntimeError || error instanceof ProtocolError;
}
