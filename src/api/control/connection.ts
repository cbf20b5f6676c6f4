import { createConnection, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { MicrosandboxError, ProtocolError, RuntimeError } from "../../errors/index.ts";
import { Channel, type BulkKind, type ChannelHandler } from "../../protocol/channel.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { PROTOCOL_VERSION, type Message } from "../../protocol/generated/messages.ts";
import { longestTimerMs } from "../../host/timers.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";

/** Who gets what arrives on one stream. */
export interface StreamHandler {
  message(message: Message): void;
  bulk(kind: BulkKind, payload: Buffer): void;
  lost(error: Error): void;
}

/** A stream that this client opened. */
export interface OpenStream {
  send(message: Message): void;
  sendBulk(kind: BulkKind, payload: Buffer): void;
  /** Nothing more is expected on it. */
  close(): void;
}

/**
 * A client's connection to a sandbox's supervisor. It keeps the event loop alive only while an answer or a command is
 * outstanding, so a program that forgets about a sandbox can end.
 */
export class SupervisorConnection implements ChannelHandler {
  readonly #channel: Channel;
  readonly #socket: Socket | null;
  readonly #streams = new Map<number, StreamHandler>();
  #nextStream = 1;
  #lost: Error | null = null;
  #greeting: StreamHandler | null = null;

  private constructor(duplex: Duplex) {
    this.#socket = "unref" in duplex ? (duplex as Socket) : null;
    this.#channel = new Channel(duplex, { incoming: "supervisor→client" }, this);
    this.#socket?.unref();
  }

  /** @param greeting gets what arrives on stream 0: the progress of a start */
  static inherited(duplex: Duplex, greeting: StreamHandler): SupervisorConnection {
    const connection = new SupervisorConnection(duplex);
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
    signal = new AbortController().signal,
  ): Promise<SupervisorConnection> {
    const socket = createConnection(path);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => {
        reject(new RuntimeError(`the sandbox did not answer within ${timeoutMs} ms`));
      },
      Math.min(timeoutMs, longestTimerMs),
    );
    const connection = new SupervisorConnection(socket);
    socket.ref();
    connection.#greeting = {
      message: (message) => {
        if (message.type === "SupervisorHello") resolve();
        else if (message.type === "Failure") reject(decodeFailure(message));
        else reject(new ProtocolError(`the supervisor answered with ${message.type}`));
      },
      bulk: () => undefined,
      lost: reject,
    };
    connection.#channel.send(0, { type: "ClientHello", protocolVersion: PROTOCOL_VERSION, sandboxId });
    try {
      await unlessAborted(promise, signal);
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    connection.#updateRef();
    return connection;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Sends a request and resolves with its one answer; a Failure rejects, and so does a signal, with its reason. */
  async request(message: Message, signal: AbortSignal): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const stream = this.open({ message: resolve, bulk: () => undefined, lost: reject });
    try {
      stream.send(message);
      const answer = await unlessAborted(promise, signal);
      if (answer.type === "Failure") throw decodeFailure(answer);
      return answer;
    } finally {
      // Nobody waits for it any more: it must not keep the program alive.
      stream.close();
    }
  }

  open(handler: StreamHandler): OpenStream {
    const id = this.#nextStream++;
    this.#streams.set(id, handler);
    this.#updateRef();
    if (this.#lost !== null) {
      const error = this.#lost;
      queueMicrotask(() => {
        handler.lost(error);
      });
    }
    return {
      send: (message) => {
        this.#channel.send(id, message);
      },
      sendBulk: (kind, payload) => {
        this.#channel.sendBulk(id, kind, payload);
      },
      close: () => {
        this.#streams.delete(id);
        this.#updateRef();
      },
    };
  }

  close(): void {
    this.#channel.fail(new RuntimeError("the connection to the sandbox was closed"));
  }

  message(stream: number, message: Message): void {
    if (stream === 0) this.#greeting?.message(message);
    else this.#streams.get(stream)?.message(message);
  }

  bulk(stream: number, kind: BulkKind, payload: Buffer): void {
    this.#streams.get(stream)?.bulk(kind, payload);
  }

  closed(error: Error | null): void {
    const reason =
      error instanceof MicrosandboxError
        ? error
        : new RuntimeError("the connection to the sandbox was lost", { cause: error ?? undefined });
    this.#lost = reason;
    this.#greeting?.lost(reason);
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const handler of streams) handler.lost(reason);
  }

  #updateRef(): void {
    if (this.#streams.size > 0) this.#socket?.ref();
    else this.#socket?.unref();
  }
}
