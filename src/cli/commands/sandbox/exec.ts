import type { Sandbox, SandboxHandle } from "../../../api/index.ts";
import { NoDefaultCommandError } from "../../../errors/index.ts";
import { defineCommand, flag, repeated, value } from "../../grammar/command.ts";
import {
  checkStdin,
  commandLine,
  commandOptions,
  isInteractive,
  runInGuest,
  startInGuest,
} from "../../guest-command.ts";
import { isInterrupted, onInterruption, untilExit } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { exitCodeOfCommand, report } from "../../output/report.ts";
import { err, out } from "../../output/streams.ts";
import { isTerminal } from "../../../config/enums.ts";
import { suspendedError } from "../../suspended-error.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parseEnvironment } from "../../values/pairs.ts";
import { text } from "../../values/simple.ts";

export const exec = defineCommand({
  name: "exec",
  summary: "Run a command in a sandbox",
  details: `On a terminal the command is interactive: it has a terminal of its own, and the detach keys leave it running. Otherwise stdin is passed on as it comes, to its end; in a loop that reads stdin itself, give </dev/null. A pipe or a file is not passed on through a terminal (-t), which would cut it and act on some of its bytes. Signals are passed on to the command. A stopped sandbox is started for the command and stopped afterwards. With -d the command is a job: its id is printed, "msb jobs" and "msb attach" find it again, and a stopped sandbox stays running for it. The exit code is the command's; 127 when it was not found, 126 when it cannot be executed.`,
  examples: [
    "msb exec demo -- uname -a",
    "msb exec demo -- sh",
    "tar c src | msb exec demo -- tar x -C /srv",
    "msb exec -e DEBUG=1 -w /srv --timeout 30s demo -- make test",
    "msb exec -d demo -- ./serve --port 8000",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  guestCommand: true,
  options: {
    env: repeated({
      short: "e",
      placeholder: "NAME[=VALUE]",
      description: "Environment variable; without a value, it is copied from here. Repeatable",
      parse: (pair) => parseEnvironment(pair),
    }),
    workdir: value({
      short: "w",
      placeholder: "PATH",
      description: "Working directory in the guest",
      parse: text,
    }),
    user: value({
      short: "u",
      placeholder: "USER",
      description: "User: name, uid, user:group or uid:gid",
      parse: text,
    }),
    ...commandOptions,
    stream: flag({
      description: "Insist on passing stdin on as it comes: fails when stdin is a terminal",
      conflicts: ["tty"],
    }),
    detach: flag({
      short: "d",
      description: "Start it as a job, print its id, and do not wait for it",
      conflicts: ["stream", "detachKeys"],
    }),
    interactive: flag({
      short: "i",
      description: "With -d, leave its standard input open for msb attach",
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors and the command's own output" }),
  },
  run: async ({ options, operands, guestCommand, logLevel }) => {
    const [name = ""] = operands;
    if (options.stream === true && process.stdin.isTTY) {
      throw new UsageError("--stream needs a pipe or a file on stdin", "Leave it out on a terminal");
    }
    const isJob = options.detach === true;
    if (options.interactive === true && !isJob) {
      throw new UsageError("-i is for jobs, which -d starts", "Without -d stdin is passed on anyway");
    }
    if (!isJob) checkStdin(options.tty === true);
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    const sandbox = await ready(handle, isJob, new Progress({ quiet: options.quiet ?? false, logLevel }));
    using _interruption = onInterruption(() => sandbox[Symbol.asyncDispose]());

    const argv = commandLine(sandbox.config, guestCommand, {
      withEntrypoint: false,
      interactive: !isJob && isInteractive(),
    });
    try {
      if (argv.length === 0) {
        throw new NoDefaultCommandError(
          `neither the command line nor the image of ${name} says what to run`,
          {
            hint: `Give a command: msb exec ${name} -- COMMAND`,
          },
        );
      }
      const command = {
        argv,
        cwd: options.workdir,
        user: options.user,
        env: options.env,
        timeoutMs: options.timeout,
        rlimits: options.rlimit,
        detachKeys: options.detachKeys,
        tty: options.stream === true ? false : options.tty,
      };
      if (isJob) {
        const { id } = await startInGuest(sandbox, command, options.interactive);
        out(`${id}\n`);
        return 0;
      }
      const outcome = await runInGuest(sandbox, command);
      if (outcome.kind === "exited") return outcome.code;
      await sandbox.detach();
      if (options.quiet !== true) err(`\r\nDetached: the command keeps running in ${name}.\n`);
      return 0;
    } catch (error) {
      if (isInterrupted()) return await untilExit();
      err(report(error, process.stderr, { program: argv[0] ?? "" }));
      return exitCodeOfCommand(error);
    } finally {
      // Stops it when it was started for this command, and was not detached from.
      if (!isInterrupted()) await sandbox[Symbol.asyncDispose]();
    }
  },
});

/** Connects to the sandbox; starts it first when it does not run, and then owns it, unless it goes on for a job. */
async function ready(handle: SandboxHandle, isJob: boolean, progress: Progress): Promise<Sandbox> {
  using _spinner = progress;
  if (handle.status === "suspended") throw suspendedError(handle.name);
  if (isTerminal(handle.status) || handle.status === "starting")
    await progress.start(`Starting ${handle.name}`);
  return await handle.connectOrStart({ ...progress.observer, detached: isJob });
}
