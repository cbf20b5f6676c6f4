import type { Duplex } from "node:stream";
import { Request } from "./fuse/request.ts";
import { MessageStream } from "./message-stream.ts";
import { mostHandles } from "./open-limit.ts";
import { serve } from "./operations/dispatch.ts";
import type { ServedPath } from "./options.ts";
import { ServedTree } from "./served-tree.ts";
import { EventQueue } from "./tree/event-queue.ts";

/** Bytes of answers that wait for a guest that does not read: it is not answered more then. */
const mostAnswers = 4 << 20;
/** With what nobody asked for: it is told the rest when it has read that. */
const mostUnread = 8 << 20;

/** Serves directories on a connection to a guest's relay, until that ends. */
export class ServedConnection {
  readonly #socket: Duplex;
  readonly #stream = new MessageStream();
  readonly #trees: ServedTree[] = [];
  readonly #ended: (reason: string | null) => void;
  /** For the guest to read what it was answered. */
  #waits = false;
  #isOver = false;

  /**
   * @param ended called once, with a reason when the guest has sent what no relay sends
   * @throws the system's error when a path cannot be opened
   */
  constructor(socket: Duplex, paths: readonly ServedPath[], ended: (reason: string | null) => void) {
    this.#socket = socket;
    try {
      const most = mostHandles(paths.length);
      const events = new EventQueue();
      for (const [mount, path] of paths.entries()) {
        this.#trees.push(new ServedTree(mount, path, most, (message) => this.#notify(message), events));
      }
    } catch (error) {
      this.#closeTrees();
      throw error;
    }
    this.#ended = ended;
    socket.on("error", () => this.#end(null));
    socket.on("close", () => this.#end(null));
    socket.on("end", () => this.#end(null));
    socket.on("data", (chunk: Buffer) => {
      this.#stream.push(chunk);
      this.#answer();
    });
    socket.on("drain", () => {
      for (const tree of this.#trees) tree.drained();
      if (!this.#waits) return;
      this.#waits = false;
      socket.resume();
      this.#answer();
    });
  }

  /** Answers what has come, as long as the guest takes the answers. */
  #answer(): void {
    if (this.#isOver || this.#waits) return;
    try {
      // One write for all answers: each wakes the guest.
      this.#socket.cork();
      while (this.#socket.writableLength < mostAnswers) {
        const next = this.#stream.next();
        if (next === null) break;
        const tree = this.#trees[next.mount];
        const reply = tree === undefined ? null : serve(tree, new Request(next.message));
        if (reply !== null) this.#socket.write(reply);
      }
      this.#waits = this.#socket.writableNeedDrain;
      if (this.#waits) this.#socket.pause();
      this.#socket.uncork();
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  #notify(message: Buffer): boolean {
    if (this.#isOver || this.#socket.writableLength > mostUnread) return false;
    this.#socket.write(message);
    return true;
  }

  #end(reason: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.destroy();
    this.#closeTrees();
    this.#ended(reason);
  }

  #closeTrees(): void {
    for (const tree of this.#trees) tree.close();
    this.#trees.length = 0;
  }
}
