import { access, constants, lstat } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { IoError } from "../errors/index.ts";
import { fileServerProgram } from "../host/package-files.ts";
import type { ServedPath } from "./options.ts";
import type { WorkerMessage, WorkerTask } from "./worker-messages.ts";

/**
 * Serves directories and files of the host to one guest, in a thread of its own, until the connection ends.
 *
 * @example
 * ```ts
 * await using server = await FileServer.start(machine.takeFilesPort(), paths, (reason) => console.error(reason));
 * ```
 */
export class FileServer implements AsyncDisposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * @param fd a connected socket that is given away: nobody else may read, write or close it
   * @param broken called when the guest has sent what no relay sends, with a reason: its mounts are over
   * @throws IoError when one of the paths cannot be opened
   */
  static async start(
    fd: number,
    paths: readonly ServedPath[],
    broken: (reason: string) => void,
  ): Promise<FileServer> {
    const task: WorkerTask = { fd, paths };
    const worker = new Worker(fileServerProgram(), { workerData: task, name: "file server" });
    const said = Promise.withResolvers<WorkerMessage>();
    worker.on("message", (message: WorkerMessage) => {
      if (message.kind === "broken") broken(message.reason);
      else said.resolve(message);
    });
    worker.on("error", (error: Error) => {
      said.reject(error);
      broken(error.message);
    });
    const first = await said.promise;
    // The sandbox's end is not held up by it.
    worker.unref();
    if (first.kind !== "failed") return new FileServer(worker);
    await worker.terminate();
    throw cannotServe(first.message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Finds out what would keep the server from serving, without it. @throws IoError */
export async function requireOpenable(paths: readonly ServedPath[]): Promise<void> {
  for (const { path, isFile } of paths) {
    const found = await lstat(path).catch((error: unknown) => {
      throw cannotServe(error instanceof Error ? error.message : String(error));
    });
    if (isFile ? !found.isFile() : !found.isDirectory())
      throw cannotServe(`${path} has become another thing`);
    await access(path, isFile ? constants.R_OK : constants.R_OK | constants.X_OK).catch((error: unknown) => {
      throw cannotServe(error instanceof Error ? error.message : String(error));
    });
  }
}

function cannotServe(reason: string): IoError {
  return new IoError(`a directory of the host cannot be given to the sandbox: ${reason}`, {
    hint: "See that it is there and that you may read it.",
  });
}
