import type { Duplex } from "node:stream";
import { MessageStream } from "./fuse/message-stream.ts";
import { Refusal } from "./fuse/refusal.ts";
import { Request } from "./fuse/request.ts";
import { mostHandles } from "./open-limit.ts";
import { answerUnserved, serve } from "./operations/dispatch.ts";
import type { ServedMount } from "./options.ts";
import type { Quota } from "./quota.ts";
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
  /** Called for each path that cannot be served, with the reason; the other mounts are. */
  unserved(path: string, reason: string): void;
  /** For mounts that somebody else serves, in their order; called again only when {@link ServedConnection.taken} was. */
  pass(requests: readonly ForwardedRequest[]): void;
}

/** Serves directories on a connection to a guest's relay, until that ends. */
export class ServedConnection {
  readonly #socket: Duplex;
  readonly #stream = new MessageStream();
  /** null: somebody else serves it. `unserved`: nobody can; whoever asks is told so, and the others go on. */
  readonly #trees: (ServedTree | "unserved" | null)[] = [];
  readonly #listener: ConnectionListener;
  #untaken = 0;
  /** For the guest to read what it was answered. */
  #waits = false;
  #isOver = false;

  constructor(socket: Duplex, mounts: readonly ServedMount[], listener: ConnectionListener) {
    this.#socket = socket;
    this.#listener = listener;
    const most = mostHandles(Math.max(1, mounts.filter(({ kind }) => kind === "path").length));
    const events = new EventQueue();
    const notify = (message: Buffer): boolean => this.#notify(message);
    /** Of volumes: two mounts of one have one quota. */
    const quotas = new Map<string, Quota>();
    for (const [number, mount] of mounts.entries()) {
      if (mount.kind !== "path") {
        this.#trees.push(null);
        continue;
      }
      const { path, quotaCountsAll } = mount;
      try {
        const shared = quotaCountsAll ? quotas.get(path) : undefined;
        const tree = new ServedTree(number, mount, most, notify, events, shared);
        if (quotaCountsAll) quotas.set(path, tree.quota);
        this.#trees.push(tree);
      } catch (error) {
        this.#trees.push("unserved");
        listener.unserved(path, reasonOf(error));
      }
    }
    socket.on("error", () => this.#end(null));
    socket.on("close", () => this.#end(null));
    socket.on("end", () => this.#end(null));
    socket.on("data", (chunk: Buffer) => {
      this.#stream.push(chunk);
      this.#answer();
    });
    socket.on("drain", () => {
      for (const tree of this.#served) tree.drained();
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
        if (tree === undefined) continue;
        const request = new Request(next.message);
        const reply = tree === "unserved" ? answerUnserved(next.mount, request) : serve(tree, request);
        if (reply !== null) this.#socket.write(reply);
      }
      if (passed.length > 0) this.#listener.pass(passed);
      this.#waits = this.#isFull;
      if (this.#waits) this.#socket.pause();
      this.#socket.uncork();
    } catch (error) {
      this.#end(reasonOf(error));
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

  get #served(): ServedTree[] {
    return this.#trees.filter((tree) => tree !== null && tree !== "unserved");
  }

  #closeTrees(): void {
    for (const tree of this.#served) tree.close();
    this.#trees.length = 0;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return "its files are the system itself, or of another kind than they were";
  return error instanceof Error ? error.message : String(error);
}
