import { rmSync } from "node:fs";
import type { MachineExit } from "../machine/types.ts";
import type { EndedMessage } from "../protocol/generated/messages.ts";
import { isUnpatched, setAside, type FoundSandbox } from "../store/sandboxes.ts";
import type { Home } from "../store/home.ts";
import type { SandboxState } from "../store/state.ts";
import type { Clients } from "./clients/clients.ts";
import type { RuntimeLog } from "./logs/runtime-log.ts";
import type { StateFile } from "./state-file.ts";

/** What is left of a sandbox whose machine has ended, or never was. */
export interface Remains {
  readonly home: Home;
  readonly sandbox: FoundSandbox;
  readonly stateFile: StateFile;
  readonly clients: Clients;
  /** Where it was put when it was discarded, out of everyone's sight; null where it still has its place. */
  readonly aside: string | null;
  readonly releaseLock: () => void;
}

/**
 * Puts the end of a sandbox on disk, then gives up its name: whoever hears of the end may start or remove it. What cannot be
 * written or removed is noted, and keeps nobody waiting.
 *
 * @param exit null when no machine was there
 * @returns what to tell those who wait for the end
 */
export async function finishSandbox(
  { home, sandbox, stateFile, clients, aside, releaseLock }: Remains,
  runtimeLog: RuntimeLog,
  exit: MachineExit | null,
  change: Partial<SandboxState>,
): Promise<EndedMessage> {
  await stateFile.change({ ...change, endedAt: new Date().toISOString() }).catch((error: unknown) => {
    runtimeLog.write("error", `cannot record the end: ${String(error)}`);
  });
  await clients.stopListening();
  // One that was not patched to the end is none that could be started.
  const isUnfit = await isUnpatched(sandbox.paths, sandbox.record).catch(() => false);
  if (sandbox.record.config.ephemeral || isUnfit) {
    try {
      const left = aside ?? (await setAside(home, sandbox.paths, sandbox.record.id));
      // Nothing else is to be done here, and in the background each file would cost a way to another thread and back.
      rmSync(left, { recursive: true, force: true });
    } catch (error) {
      runtimeLog.write("error", `cannot remove the sandbox: ${String(error)}`);
    }
  }
  releaseLock();
  return {
    type: "Ended",
    state: stateFile.state.status === "crashed" ? "crashed" : "stopped",
    exitCode: exit?.code ?? null,
    signal: exit?.signal ?? null,
    reason: stateFile.state.detail,
  };
}
