import type * as v from "valibot";
import type { ExecHandle, Sandbox } from "../../api/index.ts";
import { alias, type ToldElsewhere } from "../call/input-schema.ts";
import { ToolError } from "../call/tool-failure.ts";
import type { ToolCall } from "../call/tool.ts";
import { rlimits } from "./create-input.ts";
import {
  encoding,
  flag,
  longestWaitMs,
  maxBytes,
  optionalText,
  optionalWhole,
  text,
  textRecord,
  texts,
} from "./fields.ts";

/** How a command is to be run: what exec, shell and started commands have in common. */
export const environmentFields = {
  cwd: optionalText("Working directory in the guest."),
  workdir: alias(optionalText("The same as cwd.")),
  env: textRecord("Variables over those of the sandbox."),
  user: optionalText("name, uid, user:group or uid:gid."),
  tty: flag("Give it a terminal: its outputs are one then."),
  rlimits,
};

/** What is too much to tell with each of them. */
export const environmentElsewhere: ToldElsewhere = {
  tool: "sandbox_create",
  within: "process",
  fields: ["rlimits"],
};

/** How it is waited for. */
export const waitedFields = {
  timeout: alias(optionalWhole(1, longestWaitMs / 1000, "timeoutMs in seconds.")),
  timeoutMs: optionalWhole(
    1,
    longestWaitMs,
    "Kills it after so long; 120000 unless the server says otherwise.",
  ),
  stdin: optionalText("Its standard input."),
  stdinBase64: optionalText("Bytes instead of stdin."),
  maxBytes,
  encoding,
  treatNonZeroAsError: flag("An exit code other than 0 is an error."),
};

export const programFields = {
  command: text("The program: no shell is involved."),
  args: texts("Its arguments."),
};

type Fields = typeof programFields & typeof environmentFields & typeof waitedFields;
/** A command that is waited for; `command` is what is run. */
export type CommandInput = v.InferOutput<v.StrictObjectSchema<Fields, undefined>>;
type StartInput = Omit<CommandInput, keyof typeof waitedFields>;

/** Starts a program. @param stdin bytes, or `pipe` @param timeoutMs null for no limit */
export async function startProgram(
  sandbox: Sandbox,
  input: StartInput,
  stdin: Uint8Array | string | null,
  timeoutMs: number | null,
  call: ToolCall,
): Promise<ExecHandle> {
  const { command, args = [], env = {}, user, tty = false } = input;
  const cwd = oneOf("cwd", input.cwd, "workdir", input.workdir);
  return await sandbox.execStreamWith(
    command,
    (options) => {
      options.args(args).envs(env).tty(tty);
      if (cwd !== undefined) options.cwd(cwd);
      if (user !== undefined) options.user(user);
      if (timeoutMs !== null) options.timeout(timeoutMs);
      for (const { resource, soft, hard } of input.rlimits ?? [])
        options.rlimitRange(resource as "nofile", soft, hard ?? soft);
      if (stdin === "pipe") options.stdinPipe();
      else if (stdin !== null) options.stdinBytes(stdin);
      return options;
    },
    { signal: call.signal },
  );
}

/** @throws ToolError for both */
export function stdinOf({
  stdin,
  stdinBase64,
}: Pick<CommandInput, "stdin" | "stdinBase64">): Uint8Array | null {
  const bytes = stdinBase64 === undefined ? undefined : fromBase64("stdinBase64", stdinBase64);
  return oneOf("stdin", stdin === undefined ? undefined : Buffer.from(stdin), "stdinBase64", bytes) ?? null;
}

export function timeoutOf(
  { timeout, timeoutMs }: Pick<CommandInput, "timeout" | "timeoutMs">,
  otherwise: number,
): number {
  return (
    oneOf("timeoutMs", timeoutMs, "timeout", timeout === undefined ? undefined : timeout * 1000) ?? otherwise
  );
}

/** @throws ToolError */
export function fromBase64(name: string, value: string): Buffer {
  if (value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) return Buffer.from(value, "base64");
  throw new ToolError(
    "invalid_input",
    `${name} is no base64`,
    "Encode it with padding, without line breaks.",
  );
}

/** Bytes of a text. @throws ToolError */
export function fromText(name: string, value: string, how: "utf8" | "base64" = "utf8"): Buffer {
  return how === "utf8" ? Buffer.from(value) : fromBase64(name, value);
}

function oneOf<T>(
  name: string,
  value: T | undefined,
  otherName: string,
  other: T | undefined,
): T | undefined {
  if (value !== undefined && other !== undefined)
    throw new ToolError("invalid_input", `${name} and ${otherName} are the same`, "Leave one of them out.");
  return value ?? other;
}
