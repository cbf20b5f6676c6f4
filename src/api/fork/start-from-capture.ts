import { beginFrom } from "../../store/captures/begin-from.ts";
import { checkRecord, type SandboxRecord } from "../../store/sandbox-record.ts";
import { createSandboxDirectory, removeSandbox } from "../../store/sandboxes.ts";
import type { Home } from "../../store/home.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import type { ProgramParts } from "../providers/program-parts.ts";
import { keptSecrets } from "../providers/run-secrets.ts";
import { launchSupervisor } from "../sandbox/launch.ts";
import type { StartObserver } from "../sandbox/progress.ts";
import type { StartedSandbox } from "../sandbox/start.ts";

/** What a sandbox begins from that goes on where another one was. */
export interface CaptureStart {
  readonly home: Home;
  /** Of the new sandbox. */
  readonly record: SandboxRecord;
  /** Where the copy is: of a fork, a snapshot with memory, a pool. */
  readonly directory: string;
  /** The signal that its programs get which have a handler for it; null: none. */
  readonly notify: string | null;
  readonly parts: ProgramParts;
  /** Whether it ends with this process. */
  readonly attached: boolean;
  readonly observer: StartObserver;
}

/**
 * Makes a sandbox that goes on where another one was when it was copied, with a name, an id and random numbers of its own.
 *
 * @throws SandboxAlreadyExistsError, what the start throws; nothing is left of it then
 */
export async function startFromCapture(start: CaptureStart): Promise<StartedSandbox> {
  const { home, record, directory, notify, parts, attached, observer } = start;
  checkRecord(record);
  const { signal } = observer;
  const lock = await createSandboxDirectory(home, record, new Map(), (staging) =>
    beginFrom(directory, staging, { notify, signal }),
  );
  try {
    const { connection, report } = await launchSupervisor(home, record, lock, attached, observer, parts);
    const kept = { ...parts, secrets: keptSecrets(parts.secrets) };
    return { control: new SandboxControl(home, record, connection, true, kept), report };
  } catch (error) {
    await lock.release();
    // Its supervisor may take a moment to be gone.
    await removeSandbox(home, record.name, record.id).catch(() => undefined);
    throw error;
  } finally {
    await lock.release();
  }
}
