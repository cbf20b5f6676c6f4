import { setTimeout as sleep } from "node:timers/promises";
import { SandboxNotFoundError, SandboxStillRunningError } from "../errors/index.ts";

/** How long a killed sandbox may hold on to its files, and how often to look. */
const REMOVAL_MS = 5000;
const LOOK_MS = 10;

/** Kills a sandbox and removes all that is its own. Nothing to do is no error. */
export async function discard(name: string): Promise<void> {
  const { Sandbox } = await import("../api/index.ts");
  const deadline = Date.now() + REMOVAL_MS;
  try {
    const handle = await Sandbox.get(name);
    await handle.kill();
    for (;;) {
      try {
        await handle.remove();
        return;
      } catch (error) {
        // An ephemeral one removes itself, and holds its lock while it does.
        if (!(error instanceof SandboxStillRunningError) || Date.now() > deadline) throw error;
      }
      await sleep(LOOK_MS);
    }
  } catch (error) {
    if (!(error instanceof SandboxNotFoundError)) throw error;
  }
}
