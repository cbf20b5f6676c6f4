import { rm } from "node:fs/promises";
import type { AgentLink } from "../../agent-link/agent-link.ts";
import type { ExecMessage } from "../../protocol/generated/messages.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import { closeLogs, openLogs } from "../logs/logs.ts";
import { Session, type ClientStream } from "../services/session.ts";

/**
 * Has a guest run a command that nobody has asked for. What is done for the first time, in the guest and here, takes many times as long as
 * later: whoever takes the sandbox does not wait for that.
 */
export async function rehearseCommand(
  agent: AgentLink,
  { config }: SandboxRecord,
  paths: SandboxPaths,
): Promise<void> {
  const logs = await openLogs(paths, config);
  try {
    const ended = Promise.withResolvers<void>();
    new Session({
      ...{ id: 0, tty: false, log: logs.exec, client: nobody },
      begin: (sink) => agent.exec(firstCommand(config), sink),
      activity: () => undefined,
      ended: () => undefined,
      over: () => {
        ended.resolve();
      },
    });
    await ended.promise;
  } finally {
    await closeLogs(logs);
    // It is no sandbox yet, and nothing has happened in it.
    for (const log of [paths.execLog, paths.runtimeLog, paths.kernelLog]) await rm(log, { force: true });
  }
}

/** What most commands have in common. One that cannot be run does no harm. */
function firstCommand({ shell, user }: SandboxRecord["config"]): ExecMessage {
  return {
    ...{ type: "Exec", argv: [shell, "-c", "echo"], env: [], cwd: "/", user: user ?? "" },
    ...{ tty: false, rows: 24, cols: 80, stdin: "null", rlimits: [] },
  };
}

const nobody: ClientStream = {
  send: () => undefined,
  sendData: () => undefined,
  consume: () => undefined,
  stopSending: () => undefined,
};
