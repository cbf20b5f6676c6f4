import { ExecTimeoutError } from "../../errors/index.ts";
import type { Sandbox } from "../../api/index.ts";
import { startProgram, stdinOf, timeoutOf, type CommandInput } from "../inputs/command-input.ts";
import { CommandOutputs, gatherCommand, type GatheredBytes } from "../state/gather-command.ts";
import type { Outcome, Truncation } from "./outcome.ts";
import { failureOf, ToolError } from "./tool-failure.ts";
import type { ToolCall } from "./tool.ts";

/** What a command has printed, for a result. */
interface ToldOutputs {
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: readonly Truncation[];
}

/**
 * Runs a command to its end. One that the client gives up, or that takes too long, ends in the guest.
 *
 * @throws ToolError `exec_failed` with what it had printed, when it took too long, or as the input asks for when its exit code is not 0;
 *   ExecFailedError when it cannot be started
 */
export async function runCommand(sandbox: Sandbox, input: CommandInput, call: ToolCall): Promise<Outcome> {
  const limitMs = timeoutOf(input, call.bench.settings.defaultTimeoutMs);
  const handle = await startProgram(sandbox, input, stdinOf(input), limitMs, call);
  const outputs = new CommandOutputs();
  let exitCode: number;
  try {
    exitCode = await gatherCommand(handle, outputs, call.signal);
  } catch (error) {
    if (!(error instanceof ExecTimeoutError) || call.signal.aborted) throw error;
    const { code, message, hint, details } = failureOf(error, false);
    throw new ToolError(code, message, hint ?? "", {
      details: { ...details, ...told(outputs, input, call) },
    });
  }
  const { truncated, ...texts } = told(outputs, input, call);
  const success = exitCode === 0;
  if (!success && input.treatNonZeroAsError === true) {
    throw new ToolError("exec_failed", `the command ended with ${exitCode}`, "Look at what it printed.", {
      details: { exitCode, ...texts, truncated },
    });
  }
  return { data: { exitCode, success, ...texts }, truncated };
}

function told(
  outputs: CommandOutputs,
  { maxBytes, encoding }: CommandInput,
  { bench }: ToolCall,
): ToldOutputs {
  const most = Math.min(maxBytes ?? bench.settings.maxOutputBytes, bench.settings.maxOutputBytes);
  const cut = (field: "stdout" | "stderr"): { text: string; truncated: readonly Truncation[] } => {
    const gathered: GatheredBytes = outputs[field];
    const bytes = gathered.bytes();
    const { text, truncated } = bench.outputs.cut(
      field,
      `${field} of a command`,
      bytes,
      gathered.total,
      most,
    );
    const returned = truncated[0]?.returnedBytes ?? bytes.length;
    return { text: encoding === "base64" ? bytes.toString("base64", 0, returned) : text, truncated };
  };
  const [stdout, stderr] = [cut("stdout"), cut("stderr")];
  return { stdout: stdout.text, stderr: stderr.text, truncated: [...stdout.truncated, ...stderr.truncated] };
}
