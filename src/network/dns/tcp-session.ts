import { Deadline } from "../../host/deadline.ts";
import { DnsFrames, framed } from "./message/frames.ts";
import { largestUdp } from "./message/response.ts";

/** What is done to the guest's connection, as a TCP connection of the stack has it. */
export interface DnsStream {
  /** @returns false: more may come after `drained` of the session */
  write(bytes: Uint8Array): boolean;
  end(): void;
  reset(): void;
  consume(bytes: number): void;
}

/** So long may pass without a question that is whole or an answer, ms. Bytes alone do not count: they could come one by one for ever. */
const longestIdleMs = 30_000;
/** Questions of one connection that are answered at a time; the guest's window holds the others back. */
const mostInFlight = 32;
/** That wait, besides: the window counts bytes, and each small message takes more memory than it has bytes. */
const mostWaiting = 256;
/** No question is shorter than its header, bytes (RFC 1035, 4.1.1). */
const shortestMessage = 12;

/**
 * A guest's TCP connection to port 53: any number of questions, one after the other without waiting, answered as the answers come
 * (RFC 7766, 6.2.1.1). After the guest's FIN what is under way is still answered. Give it to the connection as its handler.
 *
 * @example
 * ```ts
 * const session = new DnsTcpSession((message, signal) => resolver.answer({ message, transport: "tcp", resolver: address }, signal));
 * session.attach(request.accept(session));
 * ```
 */
export class DnsTcpSession {
  readonly #answer: (message: Buffer, signal: AbortSignal) => Promise<Buffer | null>;
  readonly #over = new AbortController();
  readonly #frames = new DnsFrames(largestUdp);
  readonly #waiting: Buffer[] = [];
  readonly #idleAfterMs: number;
  readonly #idle = new Deadline(() => this.#idled());
  #stream: DnsStream | null = null;
  #inFlight = 0;
  #isWritable = true;
  #hasGuestEnded = false;
  #hasEnded = false;

  /** @param answer null: it was no question, and the connection ends */
  constructor(
    answer: (message: Buffer, signal: AbortSignal) => Promise<Buffer | null>,
    { idleAfterMs = longestIdleMs } = {},
  ) {
    this.#answer = answer;
    this.#idleAfterMs = idleAfterMs;
  }

  attach(stream: DnsStream): void {
    this.#stream = stream;
    this.#idle.set(this.#idleAfterMs);
    this.#work();
  }

  /** Bytes of the guest, valid until this returns. */
  data(bytes: Buffer): void {
    if (this.#hasEnded) {
      this.#stream?.consume(bytes.length);
      return;
    }
    const messages = this.#frames.push(bytes);
    // No question is so long, and behind it nothing can be told apart.
    if (messages === null) {
      this.#refuse();
      return;
    }
    for (const message of messages) {
      if (message.length < shortestMessage) {
        this.#refuse();
        return;
      }
      this.#waiting.push(message);
      this.#work();
      if (this.#waiting.length > mostWaiting) {
        this.#refuse();
        return;
      }
    }
  }

  /** The guest's FIN. */
  ended(): void {
    this.#hasGuestEnded = true;
    this.#endIfDone();
  }

  drained(): void {
    this.#isWritable = true;
    this.#work();
  }

  /** Nothing more comes or goes. */
  closed(): void {
    this.#idle.cancel();
    this.#hasEnded = true;
    this.#waiting.length = 0;
    this.#over.abort();
  }

  #work(): void {
    while (this.#stream !== null && this.#inFlight < mostInFlight && this.#isWritable) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#stream.consume(2 + message.length);
      this.#idle.set(this.#idleAfterMs);
      void this.#ask(message);
    }
  }

  async #ask(message: Buffer): Promise<void> {
    this.#inFlight++;
    const answer = await this.#answer(message, this.#over.signal);
    this.#inFlight--;
    if (this.#hasEnded || this.#stream === null) return;
    if (answer === null) {
      this.#end();
      return;
    }
    this.#idle.set(this.#idleAfterMs);
    if (!this.#stream.write(framed(answer))) this.#isWritable = false;
    this.#work();
    this.#endIfDone();
  }

  #refuse(): void {
    this.closed();
    this.#stream?.reset();
  }

  #endIfDone(): void {
    if (this.#hasGuestEnded && this.#inFlight === 0 && this.#waiting.length === 0) this.#end();
  }

  #idled(): void {
    if (this.#hasEnded) {
      // It was told, and goes on all the same.
      this.closed();
      this.#stream?.reset();
    } else if (this.#inFlight > 0) this.#idle.set(this.#idleAfterMs);
    else this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.closed();
    this.#stream?.end();
    this.#idle.set(this.#idleAfterMs);
  }
}
