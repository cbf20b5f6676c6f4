import { Sandbox } from "../../../api/index.ts";
import type { Outcome } from "../../call/outcome.ts";
import { runCommand } from "../../call/run-command.ts";
import { tool, type ToolCall } from "../../call/tool.ts";
import {
  environmentElsewhere,
  environmentFields,
  programFields,
  waitedFields,
  type CommandInput,
} from "../../inputs/command-input.ts";
import { flag, sandboxName, text } from "../../inputs/fields.ts";
import { startAgain } from "./life-tools.ts";

const fields = {
  name: sandboxName,
  ...environmentFields,
  ...waitedFields,
  startIfStopped: flag("Start the sandbox when it does not run."),
  keepRunning: flag("Leave it running when it was started for this. By default it is stopped again."),
};

interface StartChoice {
  readonly name: string;
  readonly startIfStopped?: boolean | undefined;
  readonly keepRunning?: boolean | undefined;
}

async function inSandbox(
  { name, startIfStopped = false, keepRunning = false }: StartChoice,
  call: ToolCall,
  commandOf: (sandbox: Sandbox) => CommandInput,
): Promise<Outcome> {
  const { sandboxes } = call.bench;
  const handle = await Sandbox.get(name, { signal: call.signal });
  const isDown = ["created", "suspended", "stopped", "crashed"].includes(handle.status);
  if (!startIfStopped || !isDown)
    return await sandboxes.use(name, call.signal, (sandbox) => runCommand(sandbox, commandOf(sandbox), call));
  const { sandbox, warnings } = await startAgain(call, handle, false);
  try {
    return { ...(await runCommand(sandbox, commandOf(sandbox), call)), warnings };
  } finally {
    if (!keepRunning) await sandboxes.forget(sandbox.id);
  }
}

const exec = tool({
  name: "sandbox_exec",
  description:
    "Runs a program with arguments to its end and gives its exit code and what it printed. No shell is involved.",
  effect: "changes",
  input: { ...fields, ...programFields },
  elsewhere: environmentElsewhere,
  run: async ({ name, startIfStopped, keepRunning, ...command }, call) =>
    await inSandbox({ name, startIfStopped, keepRunning }, call, () => command),
});

const shell = tool({
  name: "sandbox_shell",
  description:
    "Runs a script in the sandbox's shell (sh -c) to its end and gives its exit code and what it printed.",
  effect: "changes",
  input: { ...fields, command: text("The script.") },
  elsewhere: environmentElsewhere,
  run: async ({ name, startIfStopped, keepRunning, command, ...others }, call) =>
    await inSandbox({ name, startIfStopped, keepRunning }, call, (sandbox) => ({
      ...others,
      command: sandbox.config.shell ?? "/bin/sh",
      args: ["-c", command],
    })),
});

export const execTools = [exec, shell];
