import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { MicrosandboxError, ProtocolError, RuntimeError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { PROTOCOL_VERSION, type Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { violation } from "../../protocol/violation.ts";
import { connectWithSharedBuffer } from "../../host/system/shared-read-buffer.ts";
import { longestTimerMs } from "../../host/timers.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { Serve } from "../providers/program-parts.ts";

/** Who gets what arrives on stream 0. */
export interface GreetingHandler {
  message(message: Message): void;
  lost(error: Error): void;
}

/**
 * A client's connection to a sandbox's supervisor. It keeps the event loop alive only while an answer or a command is
 * outstanding, so a program that forgets about a sandbox can end.
 */
export class SupervisorConnection {
  readonly #streams: Streams;
  readonly #socket: Socket | null;
  #holders = 0;
  #greeting: GreetingHandler | null = null;

  private constructor(duplex: Duplex, provide: Serve | null) {
    this.#socket = "unref" in duplex ? (duplex as Socket) : null;
    this.#streams = new Streams(
      duplex,
      { incoming: "supervisor→client" },
      {
        message: (message) => {
          this.#greeting?.message(message);
        },
        accept: (stream, opening) => {
          if (provide === null) throw violation(`may not be opened here: ${stream.service.name}`);
          return provide(stream, opening);
        },
        reason: (error) =>
          error instanceof MicrosandboxError
            ? error
            : new RuntimeError("the connection to the sandbox was lost", { cause: error ?? undefined }),
        closed: () => {
          if (this.#streams.lost !== null) this.#greeting?.lost(this.#streams.lost);
        },
      },
    );
    this.#socket?.unref();
  }

  /**
   * @param greeting gets what arrives on stream 0: the progress of a start
   * @param provide what this program provides
   */
  static inherited(
    duplex: Duplex,
    greeting: GreetingHandler,
    provide: Serve | null = null,
  ): SupervisorConnection {
    const connection = new SupervisorConnection(duplex, provide);
    connection.#greeting = greeting;
    return connection;
  }

  /**
   * Connects to a running sandbox.
   *
   * @throws RuntimeError when nobody answers, SandboxReplacedError when it is not the sandbox with this id
   */
  static async connect(
    path: string,
    sandboxId: string,
    timeoutMs: number,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<SupervisorConnection> {
    const socket = connectWithSharedBuffer(path);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => {
        reject(new RuntimeError(`the sandbox did not answer within ${timeoutMs} ms`));
      },
      Math.min(timeoutMs, longestTimerMs),
    );
    const connection = new SupervisorConnection(socket, null);
    socket.ref();
    connection.#greeting = {
      message: (message) => {
        if (message.type === "SupervisorHello") resolve();
        else if (message.type === "Failure") reject(decodeFailure(message));
        else reject(new ProtocolError(`the supervisor answered with ${message.type}`));
      },
      lost: reject,
    };
    connection.#streams.send({ type: "ClientHello", protocolVersion: PROTOCOL_VERSION, sandboxId });
    try {
      await unlessAborted(promise, signal);
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (connection.#holders === 0) socket.unref();
    return connection;
  }

  get lost(): boolean {
    return this.#streams.lost !== null;
  }

  /**
   * Sends a request and resolves with its one answer; a Failure rejects, and so does a signal, with its reason.
   *
   * @param limit what it fails with when there is no answer after so many ms
   */
  async request(
    message: Message,
    signal: AbortSignal,
    limit?: { readonly ms: number; readonly error: () => Error },
  ): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer =
      limit === undefined
        ? undefined
        : setTimeout(() => {
            reject(limit.error());
          }, limit.ms);
    // Only while somebody waits: an answer that nobody waits for must not keep the program alive.
    const release = this.hold();
    try {
      const stream = this.subscribe(message, { message: resolve, data: () => undefined, lost: reject });
      const answer = await unlessAborted(promise, signal).catch((error: unknown) => {
        stream.abort(new RuntimeError("nobody waits for the answer any more"));
        throw error;
      });
      if (answer.type === "Failure") throw decodeFailure(answer);
      return answer;
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  /**
   * Opens a stream. Until it is over, the connection keeps the event loop alive.
   *
   * @throws RuntimeError when too many are open
   */
  open(opening: Message, handler: StreamHandler): Stream {
    return this.#streams.open(opening, handler, this.hold());
  }

  /** Opens a stream that keeps nothing alive: whoever waits for an item of it holds the connection meanwhile. */
  subscribe(opening: Message, handler: StreamHandler): Stream {
    return this.#streams.open(opening, handler);
  }

  /** Keeps the event loop alive until what it returns is called. */
  hold(): () => void {
    let held = true;
    if (this.#holders++ === 0) this.#socket?.ref();
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holders === 0) this.#socket?.unref();
    };
  }

  close(): void {
    this.#streams.fail(new RuntimeError("the connection to the sandbox was closed"));
  }
}
