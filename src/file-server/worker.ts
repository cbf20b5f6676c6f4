/**
 * The thread that serves the host's directories to one guest. Its calls on the file system are synchronous: each takes some
 * microseconds where one through Node's thread pool takes ten times as long. A file system of the host's that hangs holds up all
 * mounts of this guest, and neither the supervisor nor any other guest. What a program provides passes through it and holds up nothing.
 */
import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { ServedConnection } from "./served-connection.ts";
import type { ForwardedRequest, WorkerMessage, WorkerOrder, WorkerTask } from "./worker-messages.ts";

// Errors are answers here, and nobody reads where they come from.
Error.stackTraceLimit = 0;

const { fd, mounts } = workerData as WorkerTask;
const say = (message: WorkerMessage): void => {
  parentPort?.postMessage(message);
};
const over = (reason: string | null): void => {
  if (reason !== null) say({ kind: "over", reason });
  // What is left to be said is said, and the thread ends.
  parentPort?.close();
};
const pass = (requests: readonly ForwardedRequest[]): void => {
  const all: WorkerMessage = { kind: "requests", requests };
  parentPort?.postMessage(
    all,
    requests.map(({ message }) => message.buffer),
  );
};
const socket = new Socket({ fd, readable: true, writable: true });
try {
  const connection = new ServedConnection(socket, mounts, {
    ended: over,
    pass,
    unserved: (path, reason) => say({ kind: "unserved", path, reason }),
  });
  parentPort?.on("message", (order: WorkerOrder) => {
    if (order.kind === "taken") connection.taken(order.bytes);
    else {
      const { mount, message } = order;
      connection.answer(Buffer.from(message.buffer), () => {
        say({ kind: "written", mount, bytes: message.length });
      });
    }
  });
} catch (error) {
  over(error instanceof Error ? error.message : String(error));
  socket.destroy();
}
