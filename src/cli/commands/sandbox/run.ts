import type { Sandbox, SandboxHandle } from "../../../api/index.ts";
import { askedSecrets, askForVariables } from "../../ask-secrets.ts";
import { NoDefaultCommandError, SandboxNotFoundError } from "../../../errors/index.ts";
import { defineCommand, flag, value, type Invocation } from "../../grammar/command.ts";
import {
  configure,
  creationOptions,
  generatedName,
  givenCreationFlags,
  imageDetails,
} from "../../create-options.ts";
import { discard } from "../../remove-ended.ts";
import {
  checkStdin,
  commandLine,
  commandOptions,
  isInteractive,
  runInGuest,
  startInGuest,
  type GuestCommand,
} from "../../guest-command.ts";
import { isInterrupted, onInterruption, untilExit } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { exitCodeOfCommand, report } from "../../output/report.ts";
import { err, out } from "../../output/streams.ts";
import { isTerminal } from "../../../config/enums.ts";
import { isImage } from "../../output/sandbox-text.ts";
import { filled } from "../../values/simple.ts";
import { UsageError } from "../../output/usage-error.ts";
import { suspendedError } from "../../suspended-error.ts";

const options = {
  detach: flag({
    short: "d",
    description: "Leave the sandbox running, and do not wait for the command",
    conflicts: ["detachKeys"],
  }),
  pool: value({
    placeholder: "NAME",
    description: "Take a sandbox that a pool has ready (msb pool create), instead of creating one",
    completes: ["pool", ""],
    parse: filled("a pool"),
  }),
  ...commandOptions,
  ...creationOptions,
} as const;

type RunInvocation = Invocation<typeof options>;

/** As docker: `run` itself failed, and no command was tried. */
const failureCode = 125;

/** Options that a sandbox which exists already still obeys, because they also go with a single command. */
const perCommand: ReadonlySet<string> = new Set(["env", "workdir", "user"]);

export const run = defineCommand({
  name: "run",
  summary: "Create a sandbox, run a command in it, and stop it",
  details: `${imageDetails} A sandbox without --name is removed afterwards. One that exists already under --name is used as it is, and stopped afterwards only if it was started for this command. On a terminal the command is interactive; otherwise stdin is passed on to it. Without a command the image's own is run, and on a terminal the shell when it has none. The exit code is the command's; 127 when it was not found, 126 when it cannot be executed, 125 when no command was tried: there is no sandbox for it, or nothing to run.`,
  failureCode,
  examples: [
    "msb run",
    "msb run -- uname -a",
    "msb run python:3.12 -- python3 -c 'print(1)'",
    "msb run -n demo -c 2 -m 1G -- sh",
    "echo 'echo $((6 * 7))' | msb run -- sh",
    "msb run -d -n server -- httpd -f",
    "msb run --pool workers -- uname -a",
  ],
  operands: [{ name: "IMAGE", required: false }],
  guestCommand: true,
  options,
  run: async (invocation) => {
    const { name, replace, replaceWithTimeout, detach, tty } = invocation.options;
    if (detach !== true) checkStdin(tty === true);
    if (invocation.options.pool !== undefined) return await runPooled(invocation, invocation.options.pool);
    const replaces = replace === true || replaceWithTimeout !== undefined;
    const existing = name === undefined || replaces ? null : await find(name);
    return existing === null ? await runNew(invocation) : await runExisting(invocation, existing);
  },
});

async function find(name: string): Promise<SandboxHandle | null> {
  const { Sandbox } = await import("../../../api/index.ts");
  try {
    return await Sandbox.get(name);
  } catch (error) {
    if (error instanceof SandboxNotFoundError) return null;
    throw error;
  }
}

async function runNew(invocation: RunInvocation): Promise<number> {
  const { options: given, operands, logLevel } = invocation;
  const name = given.name ?? generatedName();
  const detached = given.detach === true;
  const { Sandbox } = await import("../../../api/index.ts");
  const progress = new Progress({ quiet: given.quiet ?? false, logLevel });
  const builder = configure(Sandbox.builder(name), operands[0], given, logLevel, progress);
  // Its state then goes with it even when this process is killed.
  if (given.name === undefined && !detached) builder.ephemeral(true);
  await askForVariables(builder.build());
  return await runStarted(invocation, name, progress, () =>
    detached ? builder.createDetached() : builder.create(),
  );
}

/** What a sandbox that is taken can be told. */
const perTake: ReadonlySet<string> = new Set([
  ...perCommand,
  ...["label", "port", "maxDuration", "idleTimeout", "idlePause"],
]);

async function runPooled(invocation: RunInvocation, poolName: string): Promise<number> {
  const { options: given, operands, logLevel } = invocation;
  const refused = givenCreationFlags(invocation.given, perTake);
  if (given.replace === true) refused.push("--replace");
  if (operands[0] !== undefined) refused.unshift(operands[0]);
  if (refused.length > 0) {
    throw new UsageError(
      `the sandboxes of a pool are started already: ${refused.join(", ")} cannot be given with --pool.`,
      "Say it of the pool: msb pool create",
    );
  }
  const name = given.name ?? generatedName();
  const detached = given.detach === true;
  const { Sandbox } = await import("../../../api/index.ts");
  const progress = new Progress({ quiet: given.quiet ?? false, logLevel });
  const pool = await Sandbox.getPool(poolName);
  const { label, port, maxDuration, idleTimeout, idlePause } = given;
  return await runStarted(invocation, name, progress, () =>
    pool.take({
      ...{ name, detached, ephemeral: given.name === undefined && !detached, labels: label },
      ...{ maxDurationSecs: maxDuration, idleTimeoutSecs: idleTimeout, idlePauseSecs: idlePause },
      ...(port.length === 0 ? {} : { ports: port }),
      env: given.env.map(([key, content]): [string, string] => [key, content]),
      ...progress.observer,
    }),
  );
}

/** Starts a sandbox, runs the command, and ends it, unless it is to go on. */
async function runStarted(
  invocation: RunInvocation,
  name: string,
  progress: Progress,
  start: () => Promise<Sandbox>,
): Promise<number> {
  const { options: given } = invocation;
  const named = given.name !== undefined;
  const detached = given.detach === true;
  let sandbox: Sandbox | null = null;
  const end = async (): Promise<void> => {
    if (named && sandbox !== null) await sandbox.stop();
    // Before the first stage of its start, a sandbox of this name is another one.
    else if (sandbox !== null || progress.sawStage) await discard(name, sandbox);
  };
  const interruption = onInterruption(end);
  try {
    using _spinner = progress;
    await progress.start(`Starting ${name}`);
    sandbox = await start();
  } catch (error) {
    if (isInterrupted()) return await untilExit();
    progress.clear();
    if (!named) await discard(name);
    interruption[Symbol.dispose]();
    err(report(error, process.stderr, { removed: !named }));
    return failureCode;
  }
  using _interruption = interruption;
  if (!detached) return await finish(sandbox, invocation, end);
  const code = await leave(sandbox, invocation, end);
  if (code === 0 && !named) out(`${name}\n`);
  return code;
}

async function runExisting(invocation: RunInvocation, handle: SandboxHandle): Promise<number> {
  const { options: given, operands, logLevel } = invocation;
  const progress = new Progress({ quiet: given.quiet ?? false, logLevel });
  const ignored = givenCreationFlags(invocation.given, perCommand);
  if (operands[0] !== undefined && !isImage(handle.config().image, operands[0])) ignored.unshift(operands[0]);
  if (ignored.length > 0) {
    progress.warn(`${handle.name} exists already: ignoring ${ignored.join(", ")} (--replace makes it anew)`);
  }
  if (handle.status === "suspended") throw suspendedError(handle.name);
  const startHere = isTerminal(handle.status);
  let sandbox: Sandbox;
  {
    using _spinner = progress;
    if (startHere) await progress.start(`Starting ${handle.name}`);
    const secrets = startHere ? await askedSecrets(handle, progress) : {};
    sandbox = await handle.connectOrStart({ ...progress.observer, secrets, detached: given.detach === true });
  }
  const end = async (): Promise<void> => {
    if (startHere) await sandbox.stop();
  };
  using _interruption = onInterruption(end);
  return given.detach === true
    ? await leave(sandbox, invocation, end)
    : await finish(sandbox, invocation, end);
}

/** Starts the command, if there is one, and leaves the sandbox running; ends it when the command cannot be started. */
async function leave(sandbox: Sandbox, invocation: RunInvocation, end: () => Promise<void>): Promise<number> {
  const command = guestCommand(sandbox, invocation, false);
  try {
    if (command !== null) await startInGuest(sandbox, command);
    return 0;
  } catch (error) {
    if (isInterrupted()) return await untilExit();
    err(report(error, process.stderr, { program: command?.argv[0] ?? "" }));
    await end();
    return exitCodeOfCommand(error);
  }
}

/** Runs the command, then ends what was started for it, whatever the command did. */
async function finish(
  sandbox: Sandbox,
  invocation: RunInvocation,
  end: () => Promise<void>,
): Promise<number> {
  const command = guestCommand(sandbox, invocation, isInteractive());
  let code: number;
  try {
    if (command === null) {
      throw new NoDefaultCommandError("nothing to run: no command was given, and the image has none", {
        hint: "Give a command: msb run [IMAGE] -- COMMAND",
      });
    }
    const outcome = await runInGuest(sandbox, command);
    if (outcome.kind === "detached") {
      await sandbox.detach();
      err(`\r\nDetached: the command keeps running in ${sandbox.name}.\n`);
      return 0;
    }
    code = outcome.code;
  } catch (error) {
    if (isInterrupted()) return await untilExit();
    err(report(error, process.stderr, { program: command?.argv[0] ?? "" }));
    code = exitCodeOfCommand(error, command === null ? failureCode : undefined);
  }
  if (isInterrupted()) return await untilExit();
  await end();
  return code;
}

function guestCommand(
  sandbox: Sandbox,
  invocation: RunInvocation,
  interactive: boolean,
): GuestCommand | null {
  const { options: given, guestCommand: command } = invocation;
  const argv = commandLine(sandbox.config, command, { withEntrypoint: true, interactive });
  if (argv.length === 0) return null;
  return {
    argv,
    cwd: given.workdir,
    user: given.user,
    env: given.env,
    timeoutMs: given.timeout,
    rlimits: given.rlimit,
    detachKeys: given.detachKeys,
    tty: given.tty,
  };
}
