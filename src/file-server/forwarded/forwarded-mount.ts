import { MessageStream } from "../fuse/message-stream.ts";
import { errno, mostForwardedMessage, opcodes, sizes } from "../fuse/numbers.ts";
import { answer, prefixBytes } from "../fuse/reply.ts";

/** The way to the program, as far as it is needed here. */
export interface ProgramStream {
  /** Bytes that may be sent now. */
  readonly credit: number;
  send(bytes: Buffer): void;
  /** So many of the bytes that came from there are done with. */
  consume(bytes: number): void;
  close(reason: string): void;
}

export interface ForwardedMountOptions {
  /** Its number, before each message. */
  readonly mount: number;
  /** How long the program may take for one request, ms. It keeps that time itself; here it has a little more. */
  readonly timeoutMs: number;
  /** To the guest. */
  readonly answer: (message: Buffer) => void;
  /** The mount is at its end, and why: the program has broken off, or has broken the rules. Called once at most. */
  readonly over: (reason: string) => void;
}

/** What the program has for its own word that its time is over, ms. */
const moreMs = 2_000;
/** A guest has as many requests under way as it has threads that wait, and some that nobody waits for. */
const mostWaiting = 1_024;
/** Bytes of requests that wait for the program to read them. */
const mostQueued = 16 << 20;
/** What each takes beside its own bytes. */
const eachQueued = 256;
/** Errors are below that for the kernel (linux/fs/fuse/dev.c): it would not end a request that is answered with another one. */
const errorsBelow = 512;

/** What is still to be sent of a request, and what it counts for until all of it is. */
interface Queued {
  rest: Buffer;
  readonly counts: number;
}

/** By their numbers, requests that have no answer. */
const unanswered: readonly number[] = [opcodes.forget, opcodes.batchForget, opcodes.interrupt];

/**
 * A mount that a program serves, as the supervisor sees it: it passes on what the guest asks and the program answers. It knows
 * which requests wait, so each has an answer in time, whatever the program does; and it holds no more than so much of each side's.
 */
export class ForwardedMount {
  readonly #options: ForwardedMountOptions;
  readonly #answers = new MessageStream(sizes.outHeader, mostForwardedMessage);
  /** When each request has to be answered, as performance.now() says, the earliest first. */
  readonly #waiting = new Map<bigint, number>();
  readonly #queue: Queued[] = [];
  #queued = 0;
  #stream: ProgramStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #limitMs: number;
  #isOver = false;

  constructor(options: ForwardedMountOptions) {
    this.#options = options;
    this.#limitMs = options.timeoutMs + moreMs;
  }

  /** How many requests wait for an answer. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The way to the program is there. */
  attach(stream: ProgramStream): void {
    this.#stream = stream;
    this.#pump();
  }

  /** The guest asks. Always taken: what cannot be passed on is refused. */
  request(message: Buffer): void {
    const [opcode, unique] = [message.readUInt32LE(4), message.readBigUInt64LE(8)];
    const isAnswered = !unanswered.includes(opcode);
    if (this.#isOver) {
      if (isAnswered) this.#refuse(unique, errno.notconn);
      return;
    }
    if (message.length > mostForwardedMessage) {
      if (isAnswered) this.#refuse(unique, errno.inval);
      return;
    }
    if (this.#queued + message.length > mostQueued || (isAnswered && this.#waiting.size >= mostWaiting)) {
      if (isAnswered) this.#refuse(unique, errno.nomem);
      // What it does not hear of it would believe for ever.
      else this.#end("the guest has sent more than the program has read");
      return;
    }
    // A kernel has no two of a number.
    if (isAnswered && this.#waiting.has(unique)) {
      this.#refuse(unique, errno.inval);
      return;
    }
    if (isAnswered) {
      this.#waiting.set(unique, performance.now() + this.#limitMs);
      this.#setTimer();
    }
    const counts = message.length + eachQueued;
    this.#queue.push({ rest: this.#prefixed(message), counts });
    this.#queued += counts;
    this.#pump();
  }

  /** The program has sent something, perhaps a part of an answer. */
  received(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#answers.push(bytes);
    try {
      for (;;) {
        const next = this.#answers.next();
        if (next === null) return;
        this.#pass(next.message);
      }
    } catch (error) {
      this.#end(`the program has sent what is no answer: ${error instanceof Error ? error.message : ""}`);
    }
  }

  /** The program can take more. */
  credited(): void {
    this.#pump();
  }

  /** The guest has so many bytes of answers. */
  written(bytes: number): void {
    this.#stream?.consume(bytes);
  }

  /** The guest is to end: what waits is not waited for longer than so many ms from now. */
  hurry(ms: number): void {
    this.#limitMs = Math.min(this.#limitMs, ms);
    const latest = performance.now() + this.#limitMs;
    for (const [unique, at] of this.#waiting) this.#waiting.set(unique, Math.min(at, latest));
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#setTimer();
  }

  /** The program is gone. What waits, and whatever comes, is ENOTCONN. */
  lost(reason: string): void {
    this.#stream = null;
    this.#end(reason);
  }

  /** The machine has ended: nobody is to be told anything. */
  close(): void {
    this.#isOver = true;
    this.#drop();
    this.#stream?.close("the machine has ended");
    this.#stream = null;
  }

  #pass(message: Buffer): void {
    const unique = message.readBigUInt64LE(8);
    const error = -message.readInt32LE(4);
    const whole = prefixBytes + message.length;
    const isError = error !== 0;
    if (error < 0 || error >= errorsBelow || (isError && message.length !== sizes.outHeader))
      throw new Error(`an error of ${error}`);
    // The time was over, or nobody has asked.
    if (!this.#waiting.delete(unique)) {
      this.#stream?.consume(whole);
      return;
    }
    this.#options.answer(this.#prefixed(message));
  }

  #prefixed(message: Buffer): Buffer {
    const prefixed = Buffer.allocUnsafe(prefixBytes + message.length);
    prefixed.writeUInt32LE(this.#options.mount);
    message.copy(prefixed, prefixBytes);
    return prefixed;
  }

  #refuse(unique: bigint, error: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(unique);
    this.#options.answer(answer(this.#options.mount, bytes, 0, error));
  }

  #pump(): void {
    const stream = this.#stream;
    if (stream === null) return;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const count = Math.min(first.rest.length, stream.credit);
      if (count === 0) return;
      const part = first.rest.subarray(0, count);
      // Before it is sent, which may bring more credit at once.
      first.rest = first.rest.subarray(count);
      if (first.rest.length === 0) {
        this.#queue.shift();
        this.#queued -= first.counts;
      }
      stream.send(part);
    }
  }

  #setTimer(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    const next = this.#waiting.values().next().value ?? 0;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#expire();
      },
      Math.max(1, next - performance.now()),
    );
    this.#timer.unref();
  }

  #expire(): void {
    const now = performance.now();
    for (const [unique, at] of this.#waiting) {
      if (at > now) break;
      this.#waiting.delete(unique);
      this.#refuse(unique, errno.timedout);
    }
    this.#setTimer();
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const waiting = [...this.#waiting.keys()];
    this.#drop();
    for (const unique of waiting) this.#refuse(unique, errno.notconn);
    this.#stream?.close(reason);
    this.#stream = null;
    this.#options.over(reason);
  }

  #drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting.clear();
    this.#queue.length = 0;
    this.#queued = 0;
  }
}
