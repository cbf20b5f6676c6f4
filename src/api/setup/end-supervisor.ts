import type { ChildProcess } from "node:child_process";
import { defaultGraceMs, killWaitMs } from "../control/control-limits.ts";

/** A guest gets its grace, then the supervisor the time to write down how it ended, ms. */
const longestEndMs = defaultGraceMs + killWaitMs;

/**
 * Ends a supervisor whose sandbox nobody wants any more, and waits until it has ended: before that its directory may not go.
 *
 * @param waitMs what has not ended in order by then is killed; QEMU dies with it
 */
export async function endSupervisor(child: ChildProcess, waitMs = longestEndMs): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // Not SIGTERM, at which it may be suspended.
  child.kill("SIGINT");
  const timer = setTimeout(() => child.kill("SIGKILL"), waitMs);
  await ended;
  clearTimeout(timer);
}
