import { SandboxNotRunningError } from "../errors/index.ts";

/** What it was suspended with would be gone with the end of this command. */
export function suspendedError(name: string): SandboxNotRunningError {
  return new SandboxNotRunningError(`sandbox ${name} is suspended`, {
    hint: `Start it ("msb start ${name}"): it goes on where it was, and is there for commands.`,
  });
}
