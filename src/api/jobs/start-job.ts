import { InvalidConfigError, ProtocolError } from "../../errors/index.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { guestTerminalType } from "../exec/attach.ts";
import { execFailedError } from "../exec/exec-failure.ts";
import type { ExecOptions } from "../exec/exec-options.ts";
import { defaultTerminalSize, execRequest } from "../exec/exec-request.ts";
import { Job } from "./job.ts";

/** What is given to a job as its whole standard input goes with the request. Bytes. */
const mostInputBytes = 1024 * 1024;

/** Starts a command that nobody holds. Given up before it is known to run, it is killed. */
export async function startJob(
  control: SandboxControl,
  program: string,
  options: ExecOptions,
  wait: WaitOptions,
): Promise<Job> {
  const start = async (operation: Operation): Promise<Job> => {
    const { stdin, timeoutMs, terminalSize } = options;
    const terminal = options.tty
      ? { size: terminalSize ?? defaultTerminalSize, type: guestTerminalType() }
      : null;
    if (!options.logged) {
      throw new InvalidConfigError(
        "the output of a command that nobody holds is in the log, and nowhere else",
        {
          hint: "Leave out logged(false), or redirect what it prints to a file of the sandbox.",
        },
      );
    }
    const command = execRequest(
      control.record.config,
      program,
      options,
      stdin.kind === "null" ? "null" : "pipe",
      terminal,
    );
    const input = stdin.kind === "bytes" ? stdin.data : null;
    if (input !== null && input.length > mostInputBytes) {
      throw new InvalidConfigError(
        `the input of ${input.length} bytes is too long for a command that nobody holds: it may have ${mostInputBytes}`,
        {
          hint: "Write it to a file of the sandbox and redirect that, or use stdinPipe(), attach and write it.",
        },
      );
    }
    const answer = await ask(control, operation, {
      ...command,
      type: "StartJob",
      timeoutMs: timeoutMs === null ? null : Math.ceil(timeoutMs),
      input,
    });
    switch (answer.type) {
      case "JobStarted":
        return new Job(control, answer.id);
      case "ExecFailed":
        throw execFailedError(answer, program, command.cwd);
      case "Failure":
        throw decodeFailure(answer);
      default:
        throw new ProtocolError(`the supervisor answered StartJob with ${answer.type}`);
    }
  };
  return await control.run(`start ${JSON.stringify(program)} as a job in sandbox`, wait, start);
}

/** A start may wait as long as the guest is held: it has no limit but the caller's. */
async function ask(control: SandboxControl, operation: Operation, request: Message): Promise<Message> {
  using borrowed = await control.borrow(operation);
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const stream = borrowed.connection.open(request, {
    message: resolve,
    data: () => undefined,
    lost: reject,
  });
  try {
    return await operation.wait(control.explainLoss(promise));
  } catch (error) {
    if (operation.signal.aborted) stream.abort(new Error("nobody waits for the start any more"));
    throw error;
  }
}
