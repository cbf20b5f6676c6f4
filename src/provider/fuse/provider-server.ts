import { answerInit } from "../../file-server/fuse/init.ts";
import { MessageStream } from "../../file-server/fuse/message-stream.ts";
import { errno, mostForwardedMessage, opcodes, sizes } from "../../file-server/fuse/numbers.ts";
import { Refusal } from "../../file-server/fuse/refusal.ts";
import { answer, prefixBytes } from "../../file-server/fuse/reply.ts";
import { Request } from "../../file-server/fuse/request.ts";
import { afterwards } from "../afterwards.ts";
import type { FileProvider, ProviderFailure } from "../file-provider.ts";
import { CheckedProvider } from "./checked-provider.ts";
import { serveProvided, wantedOfKernel } from "./operations/dispatch.ts";
import { ProvidedTree, type Call, type ProvidedTreeOptions } from "./provided-tree.ts";

export interface ProviderServerOptions extends ProvidedTreeOptions {
  /** Where it is mounted in the guest. */
  readonly guest: string;
  readonly timeoutMs: number;
  /** What the guest's program gets as EIO or ETIMEDOUT, and what it was about. */
  readonly onError: (error: Error, failure: ProviderFailure) => void;
}

/** Whom a server answers. */
export interface ServerPeer {
  /** Bytes of answers that it has not been able to take yet. Told of less by {@link ProviderServer.resume}. */
  readonly unsent: number;
  answer(message: Buffer): void;
  /** So many of the bytes that were received are done with. */
  consume(bytes: number): void;
}

/** Calls of a provider that go on at the same time. Others wait for their turn, and for no longer than one may take. */
const mostCalls = 128;
/** Bytes of requests that are held: more is not taken before some are done with. */
const mostHeld = 16 << 20;
/** Bytes of answers that wait for their peer: nothing more is begun before it has taken some. */
const mostUnsent = 1 << 20;
/**
 * How long a call goes on whose caller has got a signal, ms. It may be one that ends it, which it does only when it has an answer; or one
 * of those by which a language's runtime wakes its threads, after which a program does not expect EINTR of a file.
 */
const interruptedMs = 1_000;

/** One request that has no answer yet. */
interface Pending {
  readonly request: Request;
  readonly bytes: number;
  readonly controller: AbortController;
  readonly timer: NodeJS.Timeout;
  /** Once its caller has got a signal. */
  interruption: NodeJS.Timeout | null;
  /** The provider has been called: whatever is answered, it is under way until its promise has settled. */
  hasBegun: boolean;
  /** It has its answer. */
  isOver: boolean;
}

/**
 * The FUSE server of one provider, for one guest. Whatever the guest sends, and whatever the provider does, each request has one answer
 * in time, and no more is held than so much.
 */
export class ProviderServer {
  readonly #options: ProviderServerOptions;
  readonly #peer: ServerPeer;
  readonly #stream = new MessageStream(sizes.inHeader, mostForwardedMessage);
  readonly #checked: CheckedProvider;
  #tree: ProvidedTree;
  /** By the number of the request. */
  readonly #pending = new Map<string, Pending>();
  readonly #waiting = new Set<Pending>();
  #calls = 0;
  #held = 0;
  #owed = 0;
  #isOver = false;

  constructor(files: FileProvider, options: ProviderServerOptions, peer: ServerPeer) {
    this.#options = options;
    this.#peer = peer;
    this.#checked = new CheckedProvider(files, (error, operation, path) => {
      this.#tell(error, operation, path);
    });
    this.#tree = new ProvidedTree(this.#checked, options);
  }

  /** How many files the guest's kernel knows. */
  get size(): number {
    return this.#tree.nodes.size;
  }

  /** Takes what the guest has sent, perhaps a part of a message. @throws BadStream for what is no message */
  receive(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#stream.push(bytes);
    for (let next = this.#stream.next(); next !== null; next = this.#stream.next()) {
      this.#owed += prefixBytes + next.message.length;
      this.#held += next.message.length;
      this.#take(next.message);
    }
    this.#settle();
  }

  /** The guest is gone: what goes on is aborted, and files that it had removed and not closed are removed. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const pending of this.#pending.values()) {
      pending.isOver = true;
      stopTimers(pending);
      pending.controller.abort(new Error("the sandbox has ended"));
    }
    this.#pending.clear();
    this.#waiting.clear();
    this.#clear();
  }

  /** The peer has taken answers. */
  resume(): void {
    if (this.#isOver) return;
    this.#beginWaiting();
    this.#settle();
  }

  #take(message: Buffer): void {
    const [request, bytes] = [new Request(message), message.length];
    const { opcode } = request;
    if (opcode === opcodes.forget || opcode === opcodes.batchForget || opcode === opcodes.interrupt) {
      this.#listen(request);
      this.#held -= bytes;
      return;
    }
    const key = request.unique.toString("latin1");
    // A kernel has no two of a number, and the first one may be doing something.
    if (this.#pending.has(key)) {
      this.#held -= bytes;
      this.#peer.answer(answer(this.#tree.mount, request.unique, 0, errno.inval));
      return;
    }
    const pending: Pending = {
      ...{ request, bytes, interruption: null, hasBegun: false, isOver: false },
      controller: new AbortController(),
      timer: this.#limit(() => {
        this.#expire(pending);
      }),
    };
    this.#pending.set(key, pending);
    if (opcode === opcodes.init) this.#init(pending);
    else if (this.#hasRoom || this.#isOnlyRelease(opcode, message)) this.#begin(pending);
    else this.#waiting.add(pending);
  }

  get #hasRoom(): boolean {
    return this.#calls < mostCalls && this.#peer.unsent <= mostUnsent;
  }

  /** Whether it closes what is open, without a call of the provider: one that hangs would keep all that the guest has closed meanwhile. */
  #isOnlyRelease(opcode: number, message: Buffer): boolean {
    if (opcode !== opcodes.release && opcode !== opcodes.releasedir) return false;
    if (message.length < sizes.inHeader + 8) return false;
    return !this.#tree.holdsRemoved(Number(message.readBigUInt64LE(sizes.inHeader)));
  }

  #limit(expired: () => void, ms = this.#options.timeoutMs): NodeJS.Timeout {
    return setTimeout(expired, ms).unref();
  }

  /** What has no answer. */
  #listen(request: Request): void {
    try {
      if (request.opcode === opcodes.interrupt) this.#interrupt(request.bytes(8).toString("latin1"));
      else if (request.opcode === opcodes.forget) this.#tree.nodes.forget(request.node, request.u64());
      else {
        const count = request.u32();
        request.skip(4);
        for (let each = 0; each < count; each++) {
          const node = request.u64();
          this.#tree.nodes.forget(node, request.u64());
        }
      }
    } catch {
      // It was no such message, and there is nobody to tell.
    }
  }

  #interrupt(key: string): void {
    const pending = this.#pending.get(key);
    if (pending === undefined || pending.isOver) return;
    // Once: one that is told again and again would never end. The time that it had goes on.
    pending.interruption ??= this.#limit(() => {
      this.#fail(pending, errno.intr);
    }, interruptedMs);
  }

  /** The kernel knows nothing yet. */
  #init(pending: Pending): void {
    this.#clear();
    try {
      this.#answer(pending, answerInit(this.#tree.mount, pending.request, wantedOfKernel));
    } catch (error) {
      this.#fail(pending, numberOf(error));
    }
  }

  #clear(): void {
    this.#tree.isClosed = true;
    const call = afterwards({ uid: 0, gid: 0 });
    for (const node of this.#tree.nodes.removed()) {
      this.#checked.remove(this.#tree.nodes.pathOf(node), call).catch(() => undefined);
    }
    this.#tree = new ProvidedTree(this.#checked, this.#options);
  }

  #begin(pending: Pending): void {
    const { request, controller } = pending;
    const { uid, gid } = request;
    const call: Call = {
      provider: Object.freeze({ signal: controller.signal, uid, gid }),
      told: [],
      opened: [],
    };
    pending.hasBegun = true;
    this.#calls++;
    const tree = this.#tree;
    const work = serveProvided(tree, request, call).then(
      (reply) => {
        // Too late: the kernel does not hear of what it would have been told.
        if (pending.isOver) tree.takeBack(call);
        else this.#answer(pending, reply);
      },
      (error: unknown) => {
        tree.takeBack(call);
        if (!(error instanceof Refusal)) this.#tell(error as Error, nameOf(request), "");
        this.#fail(pending, numberOf(error));
      },
    );
    void work.finally(() => {
      this.#calls--;
      this.#held -= pending.bytes;
      this.resume();
    });
  }

  #beginWaiting(): void {
    for (const next of this.#waiting) {
      if (!this.#hasRoom) return;
      this.#waiting.delete(next);
      this.#begin(next);
    }
  }

  #expire(pending: Pending): void {
    const { timeoutMs } = this.#options;
    const what = pending.hasBegun ? "did not answer" : "has too many calls to answer another one";
    this.#tell(new Error(`the provider ${what} within ${timeoutMs} ms`), nameOf(pending.request), "");
    this.#fail(pending, errno.timedout);
  }

  #fail(pending: Pending, number: number): void {
    if (pending.isOver) return;
    this.#answer(pending, answer(this.#tree.mount, pending.request.unique, 0, number));
    // Whatever goes on is of no use any more.
    pending.controller.abort(new Error("nobody waits for it any more"));
  }

  #answer(pending: Pending, reply: Buffer): void {
    pending.isOver = true;
    stopTimers(pending);
    this.#pending.delete(pending.request.unique.toString("latin1"));
    this.#waiting.delete(pending);
    if (!pending.hasBegun) this.#held -= pending.bytes;
    this.#peer.answer(reply);
    this.#settle();
  }

  #settle(): void {
    if (this.#held > mostHeld || this.#peer.unsent > mostUnsent || this.#owed === 0) return;
    const bytes = this.#owed;
    this.#owed = 0;
    this.#peer.consume(bytes);
  }

  #tell(error: Error, operation: string, path: string): void {
    if (!this.#isOver) this.#options.onError(error, { operation, path, mount: this.#options.guest });
  }
}

function stopTimers({ timer, interruption }: Pending): void {
  clearTimeout(timer);
  if (interruption !== null) clearTimeout(interruption);
}

function numberOf(error: unknown): number {
  return error instanceof Refusal ? error.errno : errno.io;
}

/** What was asked for, in Linux's word. */
function nameOf({ opcode }: Request): string {
  return Object.entries(opcodes).find(([, number]) => number === opcode)?.[0] ?? `request ${opcode}`;
}
