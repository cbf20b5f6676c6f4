import { spawn, type ChildProcess } from "node:child_process";
import { Tail } from "../../host/files/tail.ts";
import { inheritedFds } from "./inherited-fds.ts";
import { leaveUnread } from "./take-connection.ts";

const outputTailBytes = 8 * 1024;

/** A QEMU that was started, and nobody has spoken to yet. */
export interface SpawnedQemu {
  readonly child: ChildProcess;
  /** The end of what it has written so far. Node throws away what nobody listens to when the process ends. */
  readonly output: Tail;
  /** Why it could not be run, as soon as that is known. */
  readonly error: () => Error | null;
}

export interface SpawnOptions {
  /** Whether the command waits for the watcher's release, see `lifeline.ts`. */
  readonly isWatched: boolean;
  /** The open file with the saved state, for a machine that is restored. May be closed afterwards. */
  readonly stateFd: number | null;
  /** Whether it has a network card. */
  readonly hasNetwork: boolean;
}

/**
 * Runs QEMU with its connections. Must be called on Node's main thread, whose end ends QEMU. Imports next to nothing, because
 * it may be the first thing that a process does.
 */
export function spawnQemu(
  command: readonly string[],
  { isWatched, stateFd, hasNetwork }: SpawnOptions,
): SpawnedQemu {
  const [program = "", ...parameters] = command;
  const child = spawn(program, parameters, {
    stdio: [
      ...(["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"] as const),
      isWatched ? "pipe" : "ignore",
      stateFd ?? "ignore",
      "pipe",
      hasNetwork ? "pipe" : "ignore",
    ],
    // Not the user's directory, which would stay in use; paths in the command are absolute.
    cwd: "/",
    env: qemuEnvironment(),
  });
  leaveUnread(child, inheritedFds.files);
  let error: Error | null = null;
  child.on("error", (cause) => (error ??= cause));
  const output = new Tail(outputTailBytes);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => output.push(chunk));
    stream?.on("error", () => undefined);
  }
  return { child, output, error: () => error };
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** QEMU gets nothing of the user's environment but what it may need to run at all. */
function qemuEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C" };
  for (const name of ["PATH", "TMPDIR", "LD_LIBRARY_PATH"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
