import { fstatSync, statSync, type Stats } from "node:fs";
import type { ExecHandle, Job, Sandbox } from "../api/index.ts";
import { parseDetachKeys } from "../api/exec/detach-keys.ts";
import { InvalidConfigError, IoError, RuntimeError, SandboxNotRunningError } from "../errors/index.ts";
import { ioError } from "../host/system-error.ts";
import { orTimeout } from "../host/or-timeout.ts";
import { flag, repeated, value } from "./grammar/command.ts";
import { onInterruption, type Interruption } from "./output/interrupt.ts";
import { writeAll } from "./output/streams.ts";
import { UsageError } from "./output/usage-error.ts";
import { parsePositiveDurationMs } from "./values/duration.ts";
import type { Pair } from "./values/pairs.ts";
import type { Rlimit } from "../config/rlimits.ts";
import { parseResourceLimit } from "./values/rlimit.ts";

/** Options of `run` and `exec` that say how the command runs. */
export const commandOptions = {
  tty: flag({
    short: "t",
    description: "Run the command on a terminal (the default when stdin and stdout are terminals)",
    negation: "Run it without a terminal, with stdout and stderr apart",
  }),
  timeout: value({
    placeholder: "DURATION",
    description: "Kill the command after this time: 30s, 5m, 2h",
    parse: parsePositiveDurationMs,
  }),
  rlimit: repeated({
    placeholder: "NAME=SOFT[:HARD]",
    description: "Resource limit of the command, such as nofile=1024:4096. Repeatable",
    parse: parseResourceLimit,
  }),
  detachKeys: value({
    placeholder: "KEYS",
    description: "Keys that leave an interactive command running (ctrl-]); several: ctrl-p,ctrl-q",
    parse: detachKeys,
  }),
} as const;

/** Checked here: a command without a terminal does not look at them. */
function detachKeys(spec: string): string {
  try {
    parseDetachKeys(spec);
    return spec;
  } catch (error) {
    if (error instanceof InvalidConfigError) throw new UsageError(`${error.message}.`, error.hint);
    throw error;
  }
}

/** How a command in a sandbox ended, as far as `msb` saw it. */
export type Outcome = { readonly kind: "exited"; readonly code: number } | { readonly kind: "detached" };

export interface GuestCommand {
  readonly argv: readonly string[];
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  readonly env: readonly Pair[];
  readonly timeoutMs?: number | undefined;
  readonly rlimits: readonly Rlimit[];
  readonly detachKeys?: string | undefined;
  /** true and false as asked for; undefined = decided by what stdin and stdout are. */
  readonly tty?: boolean | undefined;
}

/** Whether a command without `-t` and `--no-tty` gets the user's terminal. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/**
 * What to run when the user gave `given`: after the image's entrypoint for `run`, as it is for `exec`. Without
 * `given` the image's own command, then, on a terminal only, the sandbox's shell.
 *
 * @returns an empty list when there is nothing to run
 */
export function commandLine(
  config: {
    readonly entrypoint: readonly string[] | null;
    readonly cmd: readonly string[] | null;
    readonly shell: string | null;
  },
  given: readonly string[] | null,
  choice: { readonly withEntrypoint: boolean; readonly interactive: boolean },
): readonly string[] {
  const entrypoint = config.entrypoint ?? [];
  if (given !== null && given.length > 0) return choice.withEntrypoint ? [...entrypoint, ...given] : given;
  const own = [...entrypoint, ...(config.cmd ?? [])];
  if (own.length > 0) return own;
  return choice.interactive ? [config.shell ?? "/bin/sh"] : [];
}

/**
 * Whether what this process is given on stdin can be passed on. A terminal takes lines of at most 4095 bytes, drops the rest, and acts
 * on bytes such as 0x03: what comes through a pipe or from a file would not arrive as it is. Nothing, from /dev/null, does.
 *
 * @param tty a terminal was asked for
 * @throws UsageError, IoError
 */
export function checkStdin(tty: boolean): void {
  const isPiped = !process.stdin.isTTY;
  if (isPiped && statOfStdin()?.isDirectory() === true) {
    throw new IoError("cannot read standard input: it is a directory", {
      hint: "Give a file, a pipe, or nothing: </dev/null",
    });
  }
  if (tty && isPiped && !isNullDevice()) {
    throw new UsageError(
      "the input device is not a terminal",
      "Leave out -t to pass standard input on byte by byte, or give none: </dev/null",
    );
  }
}

function statOfStdin(): Stats | null {
  try {
    return fstatSync(0);
  } catch {
    // Closed.
    return null;
  }
}

function isNullDevice(): boolean {
  const stdin = statOfStdin();
  return stdin === null || (stdin.isCharacterDevice() && stdin.rdev === statSync("/dev/null").rdev);
}

/** Runs a command in a sandbox on this process's streams: on its terminal, or through pipes. */
export async function runInGuest(sandbox: Sandbox, command: GuestCommand): Promise<Outcome> {
  const tty = command.tty ?? (isInteractive() && command.timeoutMs === undefined);
  const onOwnTerminal = tty && process.stdin.isTTY;
  if (onOwnTerminal && command.timeoutMs !== undefined) {
    throw new UsageError("a command on your terminal cannot have a timeout", "Leave out --tty or --timeout");
  }
  try {
    if (onOwnTerminal) return await attach(sandbox, command);
    return { kind: "exited", code: await stream(sandbox, command, tty) };
  } catch (error) {
    throw await explainLoss(sandbox, error);
  }
}

/** How long to wait, after a connection was lost, for the end of the sandbox to be known. */
const END_MS = 2000;

/** A command that lost its sandbox is told what happened to the sandbox, not to the connection. */
async function explainLoss(sandbox: Sandbox, error: unknown): Promise<unknown> {
  if (!(error instanceof RuntimeError)) return error;
  const end = await orTimeout(
    sandbox.waitUntilStopped().catch(() => null),
    END_MS,
  );
  if (end === null) return error;
  return new SandboxNotRunningError(`sandbox ${sandbox.name} ${end.status} while the command ran`, {
    cause: error,
    hint: `Why: msb logs --source system ${sandbox.name}`,
  });
}

async function attach(sandbox: Sandbox, command: GuestCommand): Promise<Outcome> {
  const [program = "", ...args] = command.argv;
  const code = await sandbox.attachWith(program, (options) => {
    options.args(args).envs(command.env);
    if (command.cwd !== undefined) options.cwd(command.cwd);
    if (command.user !== undefined) options.user(command.user);
    if (command.detachKeys !== undefined) options.detachKeys(command.detachKeys);
    for (const limit of command.rlimits) options.rlimitRange(limit.resource, limit.soft, limit.hard);
    return options;
  });
  return code < 0 ? { kind: "detached" } : { kind: "exited", code };
}

/**
 * Starts a command as a job, which nobody waits for.
 *
 * @param openInput whether somebody may write to it later
 * @throws ExecFailedError when it cannot be started
 */
export async function startInGuest(sandbox: Sandbox, command: GuestCommand, openInput = false): Promise<Job> {
  const [program = "", ...args] = command.argv;
  return await sandbox.execDetachedWith(program, (options) => {
    options
      .args(args)
      .envs(command.env)
      .tty(command.tty ?? false);
    if (openInput || command.tty === true) options.stdinPipe();
    if (command.cwd !== undefined) options.cwd(command.cwd);
    if (command.user !== undefined) options.user(command.user);
    if (command.timeoutMs !== undefined) options.timeout(command.timeoutMs);
    for (const limit of command.rlimits) options.rlimitRange(limit.resource, limit.soft, limit.hard);
    return options;
  });
}

/** The byte that a terminal's line discipline takes for the end of input: Ctrl-D. */
const END_OF_TRANSMISSION = "\x04";

async function stream(sandbox: Sandbox, command: GuestCommand, tty: boolean): Promise<number> {
  const [program = "", ...args] = command.argv;
  await using handle = await sandbox.execStreamWith(program, (options) => {
    options.args(args).envs(command.env).tty(tty).stdinPipe();
    if (command.cwd !== undefined) options.cwd(command.cwd);
    if (command.user !== undefined) options.user(command.user);
    if (command.timeoutMs !== undefined) options.timeout(command.timeoutMs);
    for (const limit of command.rlimits) options.rlimitRange(limit.resource, limit.soft, limit.hard);
    return options;
  });
  const ended = Promise.withResolvers<number | "lost">();
  using _interruption = onInterruption((reason) => passOn(handle, reason, ended.promise));
  const input: { failure: Error | null } = { failure: null };
  void forwardStdin(handle, tty).catch(async (error: unknown) => {
    // Whatever the command makes of half of its input, it is not what was asked for.
    input.failure = ioError("read standard input", error);
    await handle.kill();
  });
  let code = 1;
  try {
    for await (const event of handle) {
      if (event.kind === "stdout") await writeAll(process.stdout, event.data);
      else if (event.kind === "stderr") await writeAll(process.stderr, event.data);
      else if (event.kind === "exited") code = event.code;
    }
    ended.resolve(code);
  } finally {
    ended.resolve("lost");
  }
  if (input.failure !== null) throw input.failure;
  return code;
}

/**
 * Sends what this process reads to the command, as it comes, and its end. Ends silently with the command.
 *
 * @throws why stdin cannot be read
 */
async function forwardStdin(handle: ExecHandle, tty: boolean): Promise<void> {
  const sink = handle.takeStdin();
  if (sink === null) return;
  for await (const chunk of process.stdin) await sink.write(chunk as Uint8Array);
  if (tty) await sink.write(END_OF_TRANSMISSION);
  await sink.close();
}

/** How long a command may take to end after a signal that was passed on to it. */
const SIGNAL_GRACE_MS = 5000;

/**
 * What came for this process is the command's business, as far as it is a signal: as with docker, it decides how both of them end.
 *
 * @returns the command's exit code, if a signal was passed on and it ended in time
 */
async function passOn(
  handle: ExecHandle,
  reason: Interruption,
  ended: Promise<number | "lost">,
): Promise<number | undefined> {
  if (reason.kind === "signal") {
    await handle.signal(reason.number);
    const end = await orTimeout(ended, SIGNAL_GRACE_MS);
    if (end !== null) return end === "lost" ? undefined : end;
  }
  await handle.kill();
  return undefined;
}
