import { NoDefaultCommandError } from "../../errors/index.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { attachToTerminal, guestTerminalType } from "./attach.ts";
import { defaultDetachKeys, parseDetachKeys } from "./detach-keys.ts";
import { ExecHandle } from "./exec-handle.ts";
import type { AttachOptions, ExecOptions } from "./exec-options.ts";
import type { ExecOutput } from "./exec-output.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import { defaultTerminalSize, execRequest } from "./exec-request.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { hostTerminal } from "./terminal.ts";

/** Starts a command; what becomes of it is told by the handle. */
export async function startCommand(
  control: SandboxControl,
  program: string,
  options: ExecOptions,
  wait: WaitOptions,
): Promise<ExecHandle> {
  return await control.run(`start ${JSON.stringify(program)} in sandbox`, wait, (operation) =>
    begin(operation, control, program, options),
  );
}

/** Runs a command to its end and gathers what it prints. Given up, it is killed. */
export async function runCommand(
  control: SandboxControl,
  program: string,
  options: ExecOptions,
  wait: WaitOptions,
): Promise<ExecOutput> {
  return await control.run(`run ${JSON.stringify(program)} in sandbox`, wait, async (operation) => {
    const handle = await begin(operation, control, program, options);
    operation.log("it runs");
    void handle.takeStdin()?.close();
    return await orAbandon(operation, handle, handle.collect());
  });
}

async function begin(
  operation: Operation,
  control: SandboxControl,
  program: string,
  options: ExecOptions,
): Promise<ExecHandle> {
  const terminal = options.tty
    ? { size: options.terminalSize ?? defaultTerminalSize, type: guestTerminalType() }
    : null;
  const stdin = options.stdin.kind === "null" ? "null" : "pipe";
  const request = execRequest(control.record.config, program, options, stdin, terminal);
  const connection = await control.connect(operation);
  operation.log("starting the command");
  const handle = new ExecHandle(
    connection,
    request,
    options.stdin,
    options.timeoutMs,
    options.maxOutputBytes,
  );
  if (!options.logged) handle.leaveUnlogged();
  await orAbandon(operation, handle, handle.startOutcome());
  // Never started, because the sandbox ended meanwhile.
  if (connection.lost && handle.id === "0") await control.explainLoss(handle.wait());
  return handle;
}

/** What nobody waits for any more does not go on. */
async function orAbandon<T>(operation: Operation, handle: ExecHandle, promise: Promise<T>): Promise<T> {
  try {
    return await operation.wait(promise);
  } catch (error) {
    if (operation.signal.aborted) handle.abandon();
    throw error;
  }
}

/** Runs a command on the caller's terminal. @returns its exit code, -1 when the user detached */
export async function attachCommand(
  control: SandboxControl,
  program: string,
  options: AttachOptions,
  wait: WaitOptions,
): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys ?? defaultDetachKeys);
  const terminal = hostTerminal();
  const request = execRequest(control.record.config, program, options, "pipe", {
    size: terminal.size,
    type: guestTerminalType(),
  });
  return await control.run(
    `run ${JSON.stringify(program)} on the terminal in sandbox`,
    wait,
    async (operation) => {
      const connection = await control.connect(operation);
      return await attachToTerminal(operation, terminal, detachKeys, () => {
        return new ExecHandle(connection, request, { kind: "pipe" }, null);
      });
    },
  );
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
