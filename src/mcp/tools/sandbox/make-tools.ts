import * as v from "valibot";
import { Sandbox } from "../../../api/index.ts";
import type { Outcome } from "../../call/outcome.ts";
import { runCommand } from "../../call/run-command.ts";
import { watchedStart } from "../../call/start-progress.ts";
import { tool, type ToolCall } from "../../call/tool.ts";
import { ToolError } from "../../call/tool-failure.ts";
import { environmentFields, waitedFields } from "../../inputs/command-input.ts";
import { checkedCreation } from "../../inputs/create-config.ts";
import { createFields, seldomFields, type CreateInput } from "../../inputs/create-input.ts";
import { given, optionalText, text } from "../../inputs/fields.ts";

/** Looks at the host's paths again, now that they are mounted: whoever has swapped one meanwhile gets nothing. @throws ToolError */
export async function stillAllowed(
  call: ToolCall,
  hostPaths: readonly string[],
  sandbox: Sandbox,
): Promise<void> {
  try {
    for (const path of hostPaths) await call.bench.paths.checkSame(path);
  } catch (error) {
    await sandbox.kill().catch(() => undefined);
    throw error;
  }
}

async function create(
  name: string,
  input: CreateInput,
  call: ToolCall,
): Promise<{ sandbox: Sandbox; warnings: string[] }> {
  const { config, hostPaths } = await checkedCreation(call.bench, name, input);
  const { observer, warnings } = watchedStart(call);
  const detached = input.lifecycle?.detached === true;
  const sandbox = await (detached
    ? Sandbox.createDetached(config, observer)
    : Sandbox.create(config, observer));
  if (!detached) call.bench.sandboxes.add(sandbox);
  await stillAllowed(call, hostPaths, sandbox);
  return { sandbox, warnings };
}

const run = tool({
  name: "sandbox_run",
  description:
    "Makes a sandbox (a virtual machine of its own), runs a shell command in it, and removes it. For one command; make a sandbox with sandbox_create for several.",
  effect: "changes",
  input: {
    command: text("What the guest's shell runs."),
    name: optionalText("Of the sandbox while it lasts; mcp-run-<ms> by default."),
    ...createFields,
    ...given({ ...waitedFields }),
    user: environmentFields.user,
    cwd: environmentFields.cwd,
    env: environmentFields.env,
  },
  elsewhere: seldomFields,
  run: async ({ command, name = `mcp-run-${Date.now()}`, ...input }, call): Promise<Outcome> => {
    const {
      timeout,
      timeoutMs,
      stdin,
      stdinBase64,
      maxBytes,
      encoding,
      treatNonZeroAsError,
      user,
      cwd,
      env,
      ...made
    } = input;
    if (made.lifecycle?.detached === true || made.lifecycle?.ephemeral === false) {
      throw new ToolError(
        "invalid_input",
        "the sandbox of sandbox_run is removed",
        "Use sandbox_create for one that stays.",
      );
    }
    const { sandbox, warnings } = await create(name, made, call);
    try {
      const shell = sandbox.config.shell ?? "/bin/sh";
      const outcome = await runCommand(
        sandbox,
        {
          command: shell,
          args: ["-c", command],
          ...given({
            timeout,
            timeoutMs,
            stdin,
            stdinBase64,
            maxBytes,
            encoding,
            treatNonZeroAsError,
            user,
            cwd,
            env,
          }),
        },
        call,
      );
      return { ...outcome, data: { name, ...(outcome.data as object) }, warnings };
    } finally {
      await sandbox.kill().catch(() => undefined);
      await call.bench.sandboxes.forget(sandbox.id);
    }
  },
});

const createTool = tool({
  name: "sandbox_create",
  description:
    "Makes a sandbox (a virtual machine of its own) and starts it. Unless lifecycle.detached is set it ends and is removed when the client goes. Run commands in it with sandbox_exec or sandbox_shell.",
  effect: "changes",
  input: {
    name: v.pipe(v.string(), v.description("1 to 128 bytes of letters, digits, `.`, `_`, `-`.")),
    ...createFields,
  },
  run: async ({ name, ...input }, call) => {
    const { sandbox, warnings } = await create(name, input, call);
    const handle = await Sandbox.get(name, { signal: call.signal });
    const { ephemeral } = sandbox.config;
    const detached = input.lifecycle?.detached === true;
    if (detached) await sandbox[Symbol.asyncDispose]();
    return {
      data: { name, id: handle.id, status: handle.status, ephemeral, detached, ports: handle.publishedPorts },
      warnings,
    };
  },
});

export const makeTools = [run, createTool];
