/**
 * The thread that serves the host's directories to one guest. Its calls on the file system are synchronous: each takes some
 * microseconds where one through Node's thread pool takes ten times as long. A file system of the host's that hangs holds up all
 * mounts of this guest, and neither the supervisor nor any other guest.
 */
import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { ServedConnection } from "./served-connection.ts";
import type { WorkerMessage, WorkerTask } from "./worker-messages.ts";

// Errors are answers here, and nobody reads where they come from.
Error.stackTraceLimit = 0;

const { fd, paths } = workerData as WorkerTask;
const say = (message: WorkerMessage): void => {
  parentPort?.postMessage(message);
};
const socket = new Socket({ fd, readable: true, writable: true });
try {
  new ServedConnection(
    socket,
    paths,
    (reason) => {
      if (reason !== null) say({ path: null, reason });
    },
    (path, reason) => say({ path, reason }),
  );
} catch (error) {
  say({ path: null, reason: error instanceof Error ? error.message : String(error) });
  socket.destroy();
}
