import { unlessAborted } from "../../host/unless-aborted.ts";
import type { ChildProcess } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { RuntimeError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import { sandboxPaths } from "../../store/sandboxes.ts";
import type { FileLock } from "../../host/locks/lock.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { serveParts, type ProgramParts } from "../providers/program-parts.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { endSupervisor } from "../setup/end-supervisor.ts";
import { spawnSupervisor, type SupervisorProcess } from "../setup/supervisor-process.ts";
import { SupervisorConnection } from "../control/connection.ts";
import type { StartObserver, StartReport } from "./progress.ts";
import { StartWatch } from "./start-watch.ts";

export interface Launched {
  readonly connection: SupervisorConnection;
  readonly report: StartReport;
}

/**
 * Starts the supervisor of a sandbox and waits until the sandbox runs. The lock passes to the supervisor.
 *
 * @returns the owner's connection, and how the sandbox came to run
 * @throws what the supervisor reports; RuntimeError when it ends without a word; what a callback of the observer throws, and the
 *   signal's reason. The supervisor has ended then, or ends by itself after it has reported
 */
export async function launchSupervisor(
  home: Home,
  record: SandboxRecord,
  lock: FileLock,
  attached: boolean,
  observer: StartObserver,
  parts: ProgramParts,
): Promise<Launched> {
  const { name } = record;
  const supervisor = await spawnFor(home, record, lock, attached, parts);
  const { child, owner } = supervisor;
  const watch = new StartWatch(observer);
  const handedOver = handOver(supervisor, home, record);
  const serve = await serveParts(record.config.mounts, parts);
  const greeting = {
    message: (message: Message) => {
      watch.message(message);
    },
    lost: () => {
      void explainDeath(child, home, name).then((death) => {
        watch.fail(death);
      });
    },
  };
  const connection = SupervisorConnection.inherited(owner, greeting, serve);
  // Starting counts as an outstanding answer: it keeps the program alive.
  const release = connection.hold();
  try {
    const report = await unlessAborted(watch.started, observer.signal ?? new AbortController().signal);
    return { connection, report };
  } catch (error) {
    // Given up, or a callback has thrown: the sandbox may even run. One that is dead already is not waited for.
    if (!watch.hasFailed) await endSupervisor(child);
    connection.close();
    // It may be making the sandbox's disk, and the lock is ours only until this returns.
    await handedOver;
    throw error;
  } finally {
    release();
  }
}

async function spawnFor(
  home: Home,
  { name, config }: SandboxRecord,
  lock: FileLock,
  attached: boolean,
  { secrets }: ProgramParts,
): Promise<SupervisorProcess> {
  const { directory, runtimeLog } = sandboxPaths(home, name);
  let log;
  try {
    log = await open(runtimeLog, "a", 0o600);
  } catch (error) {
    throw ioError(`open ${runtimeLog}`, error);
  }
  try {
    const hidden = { names: envSources(config.network?.secrets ?? []), values: secrets.values };
    const options = { home, directory, logFd: log.fd, lockFd: lock.fd, hidden };
    return await spawnSupervisor({ kind: "sandbox", name, attached }, options);
  } finally {
    await log.close();
  }
}

/** The variables of this program's environment that have values of secrets. */
function envSources(secrets: readonly SecretConfig[]): string[] {
  return secrets.flatMap(({ source }) => (source.kind === "env" ? [source.var] : []));
}

/**
 * Tells the supervisor, while Node comes up in it, what QEMU it is going to need, or why none can be started yet, and what was
 * found out for that. It does nothing before it was told.
 */
async function handOver(
  { child: { pid }, prelaunch }: SupervisorProcess,
  home: Home,
  record: SandboxRecord,
): Promise<void> {
  if (prelaunch === null) return;
  // A supervisor that has ended tells why on its other connection.
  prelaunch.on("error", () => undefined);
  const said = await (pid === undefined ? "" : planFor(pid, home, record));
  // Left open it would keep this program alive for as long as the sandbox.
  prelaunch.end(said, () => prelaunch.destroy());
}

async function planFor(pid: number, home: Home, record: SandboxRecord): Promise<string> {
  const { planHandover } = await import("../../start/prelaunch/plan.ts");
  const planned = planHandover({ home, record, paths: sandboxPaths(home, record.name) }, pid);
  // The plan waits for the disk meanwhile.
  const { encodeHandover } = await import("../../start/contract/handover-schema.ts");
  return encodeHandover(await planned);
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
