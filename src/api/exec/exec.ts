import { NoDefaultCommandError } from "../../errors/index.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { attachToTerminal, guestTerminalType } from "./attach.ts";
import { defaultDetachKeys, parseDetachKeys } from "./detach-keys.ts";
import { ExecHandle } from "./exec-handle.ts";
import type { AttachOptions, ExecOptions } from "./exec-options.ts";
import { defaultTerminalSize, execRequest } from "./exec-request.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { hostTerminal } from "./terminal.ts";

/** Starts a command; what becomes of it is told by the handle. */
export async function startCommand(
  control: SandboxControl,
  program: string,
  options: ExecOptions,
): Promise<ExecHandle> {
  const terminal = options.tty ? { size: defaultTerminalSize, type: guestTerminalType() } : null;
  const stdin = options.stdin.kind === "null" ? "null" : "pipe";
  const request = execRequest(control.record.config, program, options, stdin, terminal);
  const connection = await control.connect();
  const handle = new ExecHandle(connection, request, options.stdin, options.timeoutMs);
  await handle.begun();
  // Never started, because the sandbox ended meanwhile.
  if (connection.lost && handle.id === "0") await control.explainLoss(handle.wait());
  return handle;
}

/** Runs a command on the caller's terminal. @returns its exit code, -1 when the user detached */
export async function attachCommand(
  control: SandboxControl,
  program: string,
  options: AttachOptions,
): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys ?? defaultDetachKeys);
  const terminal = hostTerminal();
  const request = execRequest(control.record.config, program, options, "pipe", {
    size: terminal.size,
    type: guestTerminalType(),
  });
  const connection = await control.connect();
  return await attachToTerminal(terminal, detachKeys, () => {
    return new ExecHandle(connection, request, { kind: "pipe" }, null);
  });
}

/**
 * ENTRYPOINT and CMD of the sandbox, then the call's own arguments.
 *
 * @throws NoDefaultCommandError
 */
export function defaultCommand(config: StoredConfig, name: string): { program: string; args: string[] } {
  const [program, ...args] = [...(config.entrypoint ?? []), ...(config.cmd ?? [])];
  if (program !== undefined) return { program, args };
  throw new NoDefaultCommandError(`sandbox ${name} has no default command`, {
    hint: "Set entrypoint() or cmd() when creating it, or say what to run.",
  });
}
