import type { Duplex } from "node:stream";
import { Request } from "./fuse/request.ts";
import { MessageStream } from "./message-stream.ts";
import { mostHandles } from "./open-limit.ts";
import { serve } from "./operations/dispatch.ts";
import type { ServedPath } from "./options.ts";
import { ServedTree } from "./served-tree.ts";

/** Bytes of what nobody asked for that wait for a guest that does not read; it is not told more then. */
const mostUnread = 4 << 20;

/** Serves directories on a connection to a guest's relay, until that ends. */
export class ServedConnection {
  readonly #socket: Duplex;
  readonly #stream = new MessageStream();
  readonly #trees: ServedTree[] = [];
  #isOver = false;

  /**
   * @param ended called once, with a reason when the guest has sent what no relay sends
   * @throws the system's error when a path cannot be opened
   */
  constructor(socket: Duplex, paths: readonly ServedPath[], ended: (reason: string | null) => void) {
    this.#socket = socket;
    try {
      const most = mostHandles(paths.length);
      for (const [mount, path] of paths.entries()) {
        this.#trees.push(new ServedTree(mount, path, most, (message) => this.#notify(message)));
      }
    } catch (error) {
      this.#closeTrees();
      throw error;
    }
    const end = (reason: string | null): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      socket.destroy();
      this.#closeTrees();
      ended(reason);
    };
    socket.on("error", () => end(null));
    socket.on("close", () => end(null));
    socket.on("end", () => end(null));
    socket.on("data", (chunk: Buffer) => {
      try {
        this.#receive(chunk);
      } catch (error) {
        end(error instanceof Error ? error.message : String(error));
      }
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    // One write for all answers: each wakes the guest.
    this.#socket.cork();
    for (const { mount, message } of this.#stream.push(chunk)) {
      const tree = this.#trees[mount];
      const reply = tree === undefined ? null : serve(tree, new Request(message));
      if (reply !== null) this.#socket.write(reply);
    }
    this.#socket.uncork();
    if (!this.#socket.writableNeedDrain) return;
    this.#socket.pause();
    this.#socket.once("drain", () => this.#socket.resume());
  }

  #notify(message: Buffer): void {
    if (this.#isOver || this.#socket.writableLength > mostUnread) return;
    this.#socket.write(message);
  }

  #closeTrees(): void {
    for (const tree of this.#trees) tree.close();
    this.#trees.length = 0;
  }
}
