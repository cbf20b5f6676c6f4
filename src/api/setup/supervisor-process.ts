import { spawn, type ChildProcess } from "node:child_process";
import { open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import { withSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { supervisorProgram } from "../../host/package-files.ts";
import {
  lockFd,
  ownerFd,
  prelaunchFd,
  supervisorArguments,
  supervisorNodeOptions,
  type SupervisorTask,
} from "../../start/contract/process.ts";
import type { Home } from "../../store/home.ts";
import { codeCache } from "./code-cache.ts";

/** What a supervisor is given beside its task. Descriptors may be closed once it runs. */
export interface SpawnOptions {
  readonly home: Home;
  /** Where it runs; here when missing. */
  readonly directory?: string;
  /** Takes its standard error; null: it goes where this process's goes. */
  readonly logFd: number | null;
  /** The sandbox's lock; null without a sandbox. */
  readonly lockFd: number | null;
  /** What is not to be in its environment: variables, and any that has one of these values in it. */
  readonly hidden?: HiddenEnvironment;
}

export interface HiddenEnvironment {
  readonly names: readonly string[];
  readonly values: readonly string[];
}

/** A supervisor that was started. It has said nothing yet. */
export interface SupervisorProcess {
  readonly child: ChildProcess;
  readonly owner: Duplex;
  /** Takes the handover; null without a sandbox. */
  readonly prelaunch: Duplex | null;
}

/** Starts a supervisor. It goes on without this process where nothing ties them together. @throws IoError */
export async function spawnSupervisor(
  task: SupervisorTask,
  { home, directory, logFd, lockFd: lock, hidden }: SpawnOptions,
): Promise<SupervisorProcess> {
  const stdio: ("ignore" | "inherit" | "pipe" | number)[] = ["ignore", "ignore", logFd ?? "inherit"];
  stdio[ownerFd] = "pipe";
  stdio[lockFd] = lock ?? "ignore";
  stdio[prelaunchFd] = task.kind === "sandbox" ? "pipe" : "ignore";
  const words = [...supervisorNodeOptions, supervisorProgram(), ...supervisorArguments(task)];
  const child = spawn(process.execPath, words, {
    detached: task.kind === "sandbox",
    cwd: directory,
    env: supervisorEnvironment(home, hidden),
    stdio,
  });
  await spawned(child);
  child.unref();
  return {
    child,
    owner: withSharedBuffer(connectionTo(child, ownerFd)),
    prelaunch: task.kind === "sandbox" ? connectionTo(child, prelaunchFd) : null,
  };
}

/** Starts a process that becomes a member of a pool, or ends at once where there are enough. @param log takes its standard error @throws IoError */
export async function spawnMember(
  home: Home,
  pool: string,
  log: string,
  hidden: HiddenEnvironment,
  failed: () => void,
): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(log, "a", 0o600);
  } catch (error) {
    throw ioError(`open ${log}`, error);
  }
  try {
    const words = supervisorArguments({ kind: "member", pool });
    const child = spawn(process.execPath, [...supervisorNodeOptions, supervisorProgram(), ...words], {
      detached: true,
      cwd: dirname(log),
      env: supervisorEnvironment(home, hidden),
      stdio: ["ignore", "ignore", file.fd],
    });
    // As it ends where it was not needed.
    child.once("exit", (code) => {
      if (code !== 0) failed();
    });
    await spawned(child);
    child.unref();
  } finally {
    await file.close();
  }
}

/** @throws IoError */
async function spawned(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => {
      reject(ioError(`start the sandbox's process ${process.execPath}`, error));
    });
  });
}

/** Node's types know no more than five. */
function connectionTo(child: ChildProcess, fd: number): Duplex {
  const stream = (child.stdio as readonly unknown[])[fd];
  if (stream instanceof Duplex) return stream;
  throw new RuntimeError("the supervisor has no connection");
}

/** The caller's environment, without what would change how Node itself runs. */
function supervisorEnvironment(home: Home, hidden: HiddenEnvironment | undefined): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    ...(hidden === undefined ? process.env : withoutSecrets(process.env, hidden)),
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

/** A value that is shorter may be anywhere by chance: then it has to be all of the variable. */
const shortestPart = 8;

/**
 * An environment can be read by every process of the user, and is in what a crash leaves. A program that gives a secret often has it in its
 * own.
 */
function withoutSecrets(
  environment: NodeJS.ProcessEnv,
  { names, values }: HiddenEnvironment,
): NodeJS.ProcessEnv {
  const isSecret = (text: string): boolean =>
    values.some((value) => text === value || (value.length >= shortestPart && text.includes(value)));
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name, text]) => !names.includes(name) && (text === undefined || !isSecret(text)),
    ),
  );
}
