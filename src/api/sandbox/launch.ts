import { spawn, type ChildProcess } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import type { HeadStart } from "../../start/prelaunch/head-start-format.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import { ioError } from "../../host/system-error.ts";
import { sandboxPaths } from "../../store/sandboxes.ts";
import { supervisorProgram } from "../../host/package-files.ts";
import type { FileLock } from "../../host/locks/lock.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { codeCache } from "../setup/code-cache.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { defaultGraceMs } from "../control/sandbox-control.ts";
import { SupervisorConnection } from "../control/connection.ts";
import type { StartObserver } from "./progress.ts";

const ownerFd = 3;
const headStartFd = 5;

/**
 * Starts the supervisor of a sandbox and waits until the sandbox runs. The lock passes to the supervisor.
 *
 * @returns the owner's connection
 * @throws what the supervisor reports; RuntimeError when it ends without a word
 */
export async function launchSupervisor(
  home: Home,
  record: SandboxRecord,
  lock: FileLock,
  attached: boolean,
  observer: StartObserver,
): Promise<SupervisorConnection> {
  const { name } = record;
  const child = await spawnSupervisor(home, name, lock, attached);
  const started = Promise.withResolvers<void>();
  const told = giveHeadStart(child, home, record);
  const duplex = connectionTo(child, ownerFd);
  const connection = SupervisorConnection.inherited(duplex, {
    message: (message) => {
      hear(message, observer, started);
    },
    bulk: () => undefined,
    lost: () => {
      void explainDeath(child, home, name).then(started.reject);
    },
  });
  // Starting counts as an outstanding answer: it keeps the program alive.
  const waiting = connection.open({ message: () => undefined, bulk: () => undefined, lost: () => undefined });
  try {
    await unlessAborted(started.promise, observer.signal ?? new AbortController().signal);
  } catch (error) {
    if (observer.signal?.aborted === true) await endSupervisor(child);
    connection.close();
    // It may be making the sandbox's disk, and the lock is ours only until this returns.
    await told;
    throw error;
  } finally {
    waiting.close();
  }
  return connection;
}

async function spawnSupervisor(
  home: Home,
  name: string,
  lock: FileLock,
  attached: boolean,
): Promise<ChildProcess> {
  const paths = sandboxPaths(home, name);
  let log;
  try {
    log = await open(paths.runtimeLog, "a", 0o600);
  } catch (error) {
    throw ioError(`open ${paths.runtimeLog}`, error);
  }
  try {
    const child = spawn(process.execPath, [supervisorProgram(), name, attached ? "attached" : "detached"], {
      detached: true,
      cwd: paths.directory,
      env: supervisorEnvironment(home),
      stdio: ["ignore", "ignore", log.fd, "pipe", lock.fd, "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => {
        reject(ioError(`start the sandbox's process ${process.execPath}`, error));
      });
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

/**
 * Tells the supervisor, while Node comes up in it, what QEMU it is going to need. It does nothing before it was told. What
 * cannot be found out is told by the supervisor, which finds out the same for itself.
 */
async function giveHeadStart(child: ChildProcess, home: Home, record: SandboxRecord): Promise<void> {
  const pipe = connectionTo(child, headStartFd);
  // A supervisor that has ended tells why on its other connection.
  pipe.on("error", () => undefined);
  const plan = await planFor(child, home, record).catch(() => null);
  // Left open it would keep this program alive for as long as the sandbox.
  pipe.end(plan === null ? "" : JSON.stringify(plan), () => pipe.destroy());
}

async function planFor({ pid }: ChildProcess, home: Home, record: SandboxRecord): Promise<HeadStart | null> {
  if (pid === undefined) return null;
  const { planHeadStart } = await import("../../start/prelaunch/head-start.ts");
  return await planHeadStart({ home, record, paths: sandboxPaths(home, record.name) }, pid);
}

/** Node's types know no more than five. */
function connectionTo(child: ChildProcess, fd: number): Duplex {
  const stream = (child.stdio as readonly unknown[])[fd];
  if (stream instanceof Duplex) return stream;
  throw new RuntimeError("the supervisor has no connection");
}

/** The caller's environment, without what would change how Node itself runs. */
export function supervisorEnvironment(home: Home): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    MSB_HOME: home.root,
    MSB_CONFIG_PATH: home.configFile,
  };
  const cache = codeCache(home);
  if (cache !== null) environment["NODE_COMPILE_CACHE"] ??= cache;
  delete environment["NODE_OPTIONS"];
  delete environment["NODE_CHANNEL_FD"];
  delete environment["NODE_TEST_CONTEXT"];
  return environment;
}

function hear(message: Message, observer: StartObserver, started: PromiseWithResolvers<void>): void {
  switch (message.type) {
    case "StartProgress":
      observer.onProgress?.({ stage: message.stage, elapsedMs: message.elapsedMs });
      return;
    case "Notice":
      if (observer.onNotice === undefined) process.emitWarning(message.message, "MicrosandboxWarning");
      else observer.onNotice(message.message);
      return;
    case "Started":
      started.resolve();
      return;
    case "Failure":
      started.reject(decodeFailure(message));
      return;
    default:
  }
}

/** The start is given up: what it started ends, before its directory may go. */
async function endSupervisor(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), defaultGraceMs);
  await ended;
  clearTimeout(timer);
}

/** The connection closed before there was an answer: the supervisor ended, and its log says why. */
async function explainDeath(child: ChildProcess, home: Home, name: string): Promise<RuntimeError> {
  if (child.exitCode === null && child.signalCode === null) {
    child.ref();
    await new Promise((resolve) => child.once("exit", resolve));
  }
  const log = await readFile(sandboxPaths(home, name).runtimeLog, "utf8").catch(() => "");
  const ending = child.signalCode ?? `exit code ${child.exitCode ?? "unknown"}`;
  const tail = log.trimEnd().split("\n").slice(-10).join("\n");
  return new RuntimeError(
    `the process of sandbox ${name} ended (${ending}) before it ran${tail === "" ? "" : `:\n${tail}`}`,
    {
      hint: `See "msb logs --source system ${name}".`,
    },
  );
}
