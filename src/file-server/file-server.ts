import { lstat } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { IoError } from "../errors/index.ts";
import { servingFault } from "../host/files/serving-fault.ts";
import { fileServerProgram } from "../host/package-files.ts";
import type { ServedPath } from "./options.ts";
import type { WorkerMessage, WorkerTask } from "./worker-messages.ts";

/**
 * Serves directories and files of the host to one guest, in a thread of its own, until the connection ends.
 *
 * @param fd a connected socket that is given away: nobody else may read, write or close it
 * @param over called once with a reason when all mounts are over before the connection is: the guest has sent what no relay sends
 * @param unserved called for each path that cannot be opened, with the reason; the others are served
 *
 * @example
 * ```ts
 * const { error } = console;
 * serveFiles(machine.takeFilesPort(), paths, error, (path, reason) => error(path, reason));
 * ```
 */
export function serveFiles(
  fd: number,
  paths: readonly ServedPath[],
  over: (reason: string) => void,
  unserved: (path: string, reason: string) => void,
): void {
  const task: WorkerTask = { fd, paths };
  const worker = new Worker(fileServerProgram(), { workerData: task, name: "file server" });
  const first = firstOnly(over);
  worker.on("message", ({ path, reason }: WorkerMessage) => {
    if (path === null) first(reason);
    else unserved(path, reason);
  });
  worker.on("error", (error: Error) => {
    first(error.message);
  });
  // The sandbox's end is not held up by it.
  worker.unref();
}

function firstOnly(tell: (reason: string) => void): (reason: string) => void {
  let isTold = false;
  return (reason) => {
    if (isTold) return;
    isTold = true;
    tell(reason);
  };
}

/** Finds out what would keep the server from serving, without it. @throws IoError */
export async function requireOpenable(paths: readonly ServedPath[]): Promise<void> {
  for (const { path, isFile } of paths) {
    const found = await lstat(path).catch((error: unknown) => {
      throw cannotServe(error instanceof Error ? error.message : String(error));
    });
    if (isFile ? !found.isFile() : !found.isDirectory())
      throw cannotServe(`${path} has become another thing`);
    const fault = await servingFault(path, isFile);
    if (fault !== null) throw cannotServe(`${path} ${fault.why}`);
  }
}

function cannotServe(reason: string): IoError {
  return new IoError(`a directory of the host cannot be given to the sandbox: ${reason}`, {
    hint: "See that it is there and that you may read it.",
  });
}
