import { lstat } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { IoError } from "../errors/index.ts";
import { servingFault } from "../host/files/serving-fault.ts";
import { fileServerProgram } from "../host/package-files.ts";
import type { ServedMount } from "./options.ts";
import { passedBytes, type WorkerMessage, type WorkerOrder, type WorkerTask } from "./worker-messages.ts";

/** Whom the file server tells of what it does not do itself. */
export interface FileServerListener {
  /**
   * Called once with a reason when all mounts are over before the connection is: the guest has sent what no relay sends.
   */
  over(reason: string): void;
  /** Called for each path that cannot be opened, with the reason; the other mounts are served. */
  unserved(path: string, reason: string): void;
  /** The guest asks for something of a mount that a program provides. It must be taken, answered or not. */
  request(mount: number, message: Buffer): void;
  /** The guest has so many bytes of {@link FileServer.answer}. */
  written(mount: number, bytes: number): void;
}

/** The thread that serves files to one guest. */
export class FileServer {
  readonly #worker: Worker;

  /**
   * Serves until the connection ends.
   *
   * @param fd a connected socket that is given away: nobody else may read, write or close it
   */
  constructor(fd: number, mounts: readonly ServedMount[], listener: FileServerListener) {
    const task: WorkerTask = { fd, mounts };
    const worker = new Worker(fileServerProgram(), { workerData: task, name: "file server" });
    this.#worker = worker;
    const over = firstOnly((reason) => listener.over(reason));
    worker.on("message", (message: WorkerMessage) => {
      if (message.kind === "over") over(message.reason);
      else if (message.kind === "unserved") listener.unserved(message.path, message.reason);
      else if (message.kind === "written") listener.written(message.mount, message.bytes);
      else {
        let taken = 0;
        for (const { mount, message: bytes } of message.requests) {
          listener.request(mount, Buffer.from(bytes.buffer));
          taken += passedBytes(bytes);
        }
        this.#order({ kind: "taken", bytes: taken });
      }
    });
    worker.on("error", (error: Error) => {
      over(error.message);
    });
    // The sandbox's end is not held up by it.
    worker.unref();
  }

  /** Answers for a mount. After the end of the connection it does nothing. @param message with its mount's number before it */
  answer(mount: number, message: Buffer): void {
    const bytes = new Uint8Array(message);
    this.#order({ kind: "answer", mount, message: bytes }, [bytes.buffer]);
  }

  #order(order: WorkerOrder, transferred: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(order, transferred);
  }
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
export async function requireOpenable(mounts: readonly ServedMount[]): Promise<void> {
  for (const mount of mounts) {
    if (mount.kind === "provider") continue;
    const { path, isFile } = mount;
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
