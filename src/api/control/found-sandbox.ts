import { SandboxNotRunningError } from "../../errors/index.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import { isAlive } from "../../host/process/process-identity.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";

export function notRunning(name: string, status: SandboxStatus): SandboxNotRunningError {
  return new SandboxNotRunningError(`sandbox ${name} is ${status}`, {
    hint: `Start it ("msb start ${name}").`,
  });
}

/**
 * What ends a sandbox in order: SIGTERM, but where it would be suspended then. A supervisor of a version that does not know another signal does
 * not know of that either.
 */
export function stopSignalOf({ record }: FoundSandbox): "SIGTERM" | "SIGINT" {
  return record.config.onHostShutdown === "suspend" ? "SIGINT" : "SIGTERM";
}

/** A signal to the process that owns the sandbox, if it still is there. */
export async function signalSupervisor(found: FoundSandbox, signal: NodeJS.Signals): Promise<void> {
  const { supervisor } = found.state;
  if (supervisor === null || !(await isAlive(supervisor))) return;
  try {
    process.kill(supervisor.pid, signal);
  } catch {
    // It ended just now.
  }
}
