import { spawn, type ChildProcess } from "node:child_process";
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
  { home, directory, logFd, lockFd: lock }: SpawnOptions,
): Promise<SupervisorProcess> {
  const stdio: ("ignore" | "inherit" | "pipe" | number)[] = ["ignore", "ignore", logFd ?? "inherit"];
  stdio[ownerFd] = "pipe";
  stdio[lockFd] = lock ?? "ignore";
  stdio[prelaunchFd] = task.kind === "sandbox" ? "pipe" : "ignore";
  const child = spawn(process.execPath, [supervisorProgram(), ...supervisorArguments(task)], {
    detached: task.kind === "sandbox",
    cwd: directory,
    env: supervisorEnvironment(home),
    stdio,
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => {
      reject(ioError(`start the sandbox's process ${process.execPath}`, error));
    });
  });
  child.unref();
  return {
    child,
    owner: withSharedBuffer(connectionTo(child, ownerFd)),
    prelaunch: task.kind === "sandbox" ? connectionTo(child, prelaunchFd) : null,
  };
}

/** Node's types know no more than five. */
function connectionTo(child: ChildProcess, fd: number): Duplex {
  const stream = (child.stdio as readonly unknown[])[fd];
  if (stream instanceof Duplex) return stream;
  throw new RuntimeError("the supervisor has no connection");
}

/** The caller's environment, without what would change how Node itself runs. */
function supervisorEnvironment(home: Home): NodeJS.ProcessEnv {
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
