import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import { withSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { ioError } from "../../host/system-error.ts";

/**
 * Listens on a unix socket, in the place of one that a killed process left. Whoever calls it holds the sandbox's lock, so
 * nobody else listens there.
 *
 * @throws IoError
 */
export async function listenOn(path: string, connected: (connection: Duplex) => void): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer((socket) => {
    connected(withSharedBuffer(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(ioError(`listen on ${path}`, error));
    });
    server.listen(path, resolve);
  });
  return server;
}
