import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { ioError } from "../../host/system-error.ts";
import { socketPath, type Home } from "../../store/home.ts";

/**
 * Says to the members of a pool that the program which made it is there: they are connected with it, and end when it does, however it ends.
 * It keeps no program alive.
 */
export class PoolOwner {
  readonly #home: Home;
  readonly #server: Server;
  #path: string | null = null;

  constructor(home: Home) {
    this.#home = home;
    this.#server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.resume();
      socket.unref();
    });
    this.#server.unref();
  }

  /** @param id of the pool @throws IoError */
  async claim(id: string): Promise<void> {
    const path = socketPath(this.#home, id);
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => {
        reject(ioError(`listen on ${path}`, error));
      });
      this.#server.listen(path, resolve);
    });
    this.#path = path;
  }

  end(): void {
    this.#server.close();
    if (this.#path !== null) void rm(this.#path, { force: true }).catch(() => undefined);
  }
}
