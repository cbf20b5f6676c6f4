import type { Duplex } from "node:stream";
import { MessageStream } from "./fuse/message-stream.ts";
import { Request } from "./fuse/request.ts";
import { mostHandles } from "./open-limit.ts";
import { serve } from "./operations/dispatch.ts";
import type { ServedMount } from "./options.ts";
import { ServedTree } from "./served-tree.ts";
import { EventQueue } from "./tree/event-queue.ts";
import { passedBytes, type ForwardedRequest } from "./worker-messages.ts";

/** Bytes of answers that wait for a guest that does not read: it is not answered more then. */
const mostAnswers = 4 << 20;
/** With what nobody asked for: it is told the rest when it has read that. */
const mostUnread = 8 << 20;
/** Bytes of requests that wait to be taken by whoever passes them on, who always does so soon. */
const mostUntaken = 4 << 20;

/** Whom a connection tells of what it does not do itself. */
export interface ConnectionListener {
  /** Called once, with a reason when the guest has sent what no relay sends. */
  ended(reason: string | null): void;
  /** For mounts that somebody else serves, in their order; called again only when {@link ServedConnection.taken} was. */
  pass(requests: readonly ForwardedRequest[]): void;
}

/** Serves directories on a connection to a guest's relay, until that ends. */
export class ServedConnection {
  readonly #socket: Duplex;
  readonly #stream = new MessageStream();
  /** null: somebody else serves it. */
  readonly #trees: (ServedTree | null)[] = [];
  readonly #listener: ConnectionListener;
  #untaken = 0;
  /** For the guest to read what it was answered. */
  #waits = false;
  #isOver = false;

  /** @throws the system's error when a path cannot be opened */
  constructor(socket: Duplex, mounts: readonly ServedMount[], listener: ConnectionListener) {
    this.#socket = socket;
    try {
      const most = mostHandles(Math.max(1, mounts.filter(({ kind }) => kind === "path").length));
      const events = new EventQueue();
      const notify = (message: Buffer): boolean => this.#notify(message);
      for (const [number, mount] of mounts.entries()) {
        const isPath = mount.kind === "path";
        this.#trees.push(isPath ? new ServedTree(number, mount, most, notify, events) : null);
      }
    } catch (error) {
      this.#closeTrees();
      throw error;
    }
    this.#listener = listener;
    socket.on("error", () => this.#end(null));
    socket.on("close", () => this.#end(null));
    socket.on("end", () => this.#end(null));
    socket.on("data", (chunk: Buffer) => {
      this.#stream.push(chunk);
      this.#answer();
    });
    socket.on("drain", () => {
      for (const tree of this.#trees) tree?.drained();
      this.#goOn();
    });
  }

  /** So many bytes of requests that were passed on are no longer to be counted. */
  taken(bytes: number): void {
    this.#untaken -= bytes;
    this.#goOn();
  }

  /**
   * Answers for somebody else.
   *
   * @param message with the number of its mount before it
   * @param written called when the guest's side has it
   */
  answer(message: Buffer, written: () => void): void {
    if (!this.#isOver) this.#socket.write(message, written);
  }

  #goOn(): void {
    if (!this.#waits || this.#isOver || this.#isFull) return;
    this.#waits = false;
    this.#socket.resume();
    this.#answer();
  }

  get #isFull(): boolean {
    return this.#untaken >= mostUntaken || this.#socket.writableNeedDrain;
  }

  /** Answers what has come, as long as the guest takes the answers. */
  #answer(): void {
    if (this.#isOver || this.#waits) return;
    const passed: ForwardedRequest[] = [];
    try {
      // One write for all answers: each wakes the guest.
      this.#socket.cork();
      while (this.#socket.writableLength < mostAnswers && this.#untaken < mostUntaken) {
        const next = this.#stream.next();
        if (next === null) break;
        const tree = this.#trees[next.mount];
        if (tree === null) {
          // A copy: the bytes around it are not to go to another thread.
          passed.push({ mount: next.mount, message: new Uint8Array(next.message) });
          this.#untaken += passedBytes(next.message);
          continue;
        }
        const reply = tree === undefined ? null : serve(tree, new Request(next.message));
        if (reply !== null) this.#socket.write(reply);
      }
      if (passed.length > 0) this.#listener.pass(passed);
      this.#waits = this.#isFull;
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
    this.#listener.ended(reason);
  }

  #closeTrees(): void {
    for (const tree of this.#trees) tree?.close();
    this.#trees.length = 0;
  }
}
