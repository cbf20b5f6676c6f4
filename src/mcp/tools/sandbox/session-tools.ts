import { constants } from "node:os";
import * as v from "valibot";
import { ToolError, failureOf } from "../../call/tool-failure.ts";
import { tool } from "../../call/tool.ts";
import {
  environmentElsewhere,
  environmentFields,
  fromText,
  programFields,
  startProgram,
} from "../../inputs/command-input.ts";
import {
  encoding,
  flag,
  longestWaitMs,
  optionalText,
  optionalWhole,
  sandboxName,
  text,
  whole,
} from "../../inputs/fields.ts";
import { ExecSession } from "../../state/exec-sessions.ts";

const execSessionId = text("As sandbox_exec_start has given it.");

const start = tool({
  name: "sandbox_exec_start",
  description:
    "Starts a program and returns at once. sandbox_exec_poll tells what it prints, sandbox_exec_close ends it. It is ended when nobody asks for it for 15 minutes, and when the client goes.",
  effect: "changes",
  input: {
    name: sandboxName,
    ...programFields,
    ...environmentFields,
    shell: flag("command is a script for the sandbox's shell, without args."),
    stdin: flag("It gets a standard input to write to."),
    timeoutMs: optionalWhole(1, longestWaitMs * 24, "Kills it after so long."),
    encoding,
  },
  elsewhere: environmentElsewhere,
  run: async (
    { name, stdin = false, timeoutMs = null, encoding: how = "utf8", shell = false, ...input },
    call,
  ) => {
    const { sandboxes, sessions } = call.bench;
    sessions.requireRoom();
    if (shell && input.args !== undefined)
      throw new ToolError("invalid_input", "a script has no args", "Leave out args or shell.");
    const sandbox = await sandboxes.connect(name, call.signal);
    try {
      const command = shell
        ? { ...input, command: sandbox.config.shell ?? "/bin/sh", args: ["-c", input.command] }
        : input;
      const handle = await startProgram(sandbox, command, stdin ? "pipe" : null, timeoutMs, call);
      const session = new ExecSession(sandbox, handle, how);
      sessions.add(session);
      return { data: { execSessionId: session.id, name } };
    } catch (error) {
      await sandbox[Symbol.asyncDispose]();
      throw error;
    }
  },
});

const poll = tool({
  name: "sandbox_exec_poll",
  description:
    "Events of a command that was started, from a cursor on: started, stdout, stderr, exited. A command whose output nobody polls stands still after some MiB.",
  effect: "reads",
  input: {
    execSessionId,
    cursor: optionalWhole(0, Number.MAX_SAFE_INTEGER, "nextCursor of the poll before; 0 at first."),
    limit: optionalWhole(1, 1000, "Events at most (100)."),
    waitMs: optionalWhole(0, 60_000, "How long to wait for the first one, ms (0)."),
  },
  run: async ({ execSessionId: id, cursor = 0, limit = 100, waitMs = 0 }, { bench, signal }) => {
    const session = bench.sessions.get(id);
    const found = await session.poll(cursor, limit, waitMs, signal);
    const events = within(found, bench.settings.maxOutputBytes);
    const nextCursor = (events.at(-1)?.index ?? cursor - 1) + 1;
    const { exitCode, error } = session;
    // What waits to be polled comes before the end.
    const done = session.done && nextCursor === session.end;
    return {
      data: {
        events,
        nextCursor,
        done,
        exitStatus: exitCode === null ? null : { code: exitCode, success: exitCode === 0 },
        error: error === null ? null : failureOf(error, false),
      },
    };
  },
});

/** As many as fit into a result, at least one. */
function within<Event extends { readonly event: object }>(
  events: readonly Event[],
  most: number,
): readonly Event[] {
  let bytes = 0;
  const end = events.findIndex(({ event }, at) => {
    bytes += "data" in event && typeof event.data === "string" ? Buffer.byteLength(event.data) : 0;
    return at > 0 && bytes > most;
  });
  return end === -1 ? events : events.slice(0, end);
}

const writeStdin = tool({
  name: "sandbox_exec_write_stdin",
  description: "Writes to the standard input of a command that was started with stdin.",
  effect: "changes",
  input: {
    execSessionId,
    data: optionalText("What to write."),
    encoding,
    close: flag("It is the end of its input."),
  },
  run: async ({ execSessionId: id, data = "", encoding: how, close = false }, { bench, signal }) => {
    const stdin = bench.sessions.get(id).stdin();
    const bytes = fromText("data", data, how);
    await stdin.write(bytes, { signal });
    if (close) await stdin.close({ signal });
    return { data: { writtenBytes: bytes.length, closed: close } };
  },
});

const signals = {
  hup: constants.signals.SIGHUP,
  int: constants.signals.SIGINT,
  term: constants.signals.SIGTERM,
  kill: constants.signals.SIGKILL,
};

const signal = tool({
  name: "sandbox_exec_signal",
  description: "Sends a signal to a command that was started, and to what it has started.",
  effect: "changes",
  input: {
    execSessionId,
    signal: v.union([
      v.picklist(["hup", "int", "term", "kill"]),
      whole(1, 64, "Number of a signal of Linux."),
    ]),
  },
  run: async ({ execSessionId: id, signal: name }, { bench }) => {
    const number = typeof name === "number" ? name : signals[name];
    await bench.sessions.get(id).signal(number);
    return { data: { signal: number } };
  },
});

const close = tool({
  name: "sandbox_exec_close",
  description: "Kills a command that was started, if it still runs, and forgets what it has printed.",
  effect: "changes",
  input: { execSessionId },
  run: async ({ execSessionId: id }, { bench }) => ({ data: { closed: await bench.sessions.close(id) } }),
});

export const sessionTools = [start, poll, writeStdin, signal, close];
