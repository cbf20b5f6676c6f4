import { setTimeout as sleep } from "node:timers/promises";
import { writesToHost } from "../config/mounts/writes-to-host.ts";
import type { Sandbox, SandboxHandle } from "../api/index.ts";
import { SandboxNotFoundError, SandboxStillRunningError } from "../errors/index.ts";

/** How long a killed sandbox may hold on to its files, and how often to look. */
const REMOVAL_MS = 5000;
const LOOK_MS = 10;

/** Kills a sandbox and removes all that is its own. */
export async function killAndRemove(handle: SandboxHandle): Promise<void> {
  const deadline = Date.now() + REMOVAL_MS;
  await handle.kill();
  for (;;) {
    try {
      await handle.remove();
      return;
    } catch (error) {
      // An ephemeral one removes itself, and holds its lock while it does.
      if (error instanceof SandboxNotFoundError) return;
      if (!(error instanceof SandboxStillRunningError) || Date.now() > deadline) throw error;
    }
    await sleep(LOOK_MS);
  }
}

/**
 * Ends and removes a sandbox that nobody is to find again; its name may be nobody's. What was written to a disk, a volume or a
 * directory of the user's stays his: such a sandbox is shut down in order, so that nothing of it is still in the guest's memory.
 *
 * @param started the sandbox itself, when this program has started it
 */
export async function discard(name: string, started: Sandbox | null = null): Promise<void> {
  if (started?.config.ephemeral === true && !writesToHost(started.config)) {
    try {
      // The rest is its own process's work, and nobody's time.
      await started.discard();
      return;
    } catch {
      // It has ended meanwhile, or its process has: what is on the disk tells.
    }
  }
  const { Sandbox } = await import("../api/index.ts");
  try {
    const handle = await Sandbox.get(name);
    if (writesToHost(handle.config())) await handle.stop();
    await killAndRemove(handle);
  } catch (error) {
    // An ephemeral one removes itself.
    if (!(error instanceof SandboxNotFoundError)) throw error;
  }
}
