import { SandboxNotRunningError } from "../../errors/index.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import { isAlive } from "../../host/process/process-identity.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";

/** Whether nothing runs in this status. */
export function isTerminal(status: SandboxStatus): boolean {
  return status === "created" || status === "stopped" || status === "crashed";
}

export function notRunning(name: string, status: SandboxStatus): SandboxNotRunningError {
  return new SandboxNotRunningError(`sandbox ${name} is ${status}`, {
    hint: `Start it ("msb start ${name}").`,
  });
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
