import type { Duplex } from "node:stream";
import { ProtocolError, RuntimeError, SandboxReplacedError } from "../../errors/index.ts";
import { Channel, type BulkKind, type ChannelHandler } from "../../protocol/channel.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import { FrameKind } from "../../protocol/frame.ts";
import {
  PROTOCOL_VERSION,
  type ClientHelloMessage,
  type EndedMessage,
  type ExecMessage,
  type Message,
  type MetricsMessage,
  type SandboxState,
} from "../../protocol/generated/messages.ts";
import type { ClientStream, Session } from "../services/session.ts";

/** What a connected client can ask of the sandbox. */
export interface ClientServices {
  readonly id: string;
  readonly name: string;
  readonly state: SandboxState;
  /** @throws RuntimeError when there are too many clients */
  admit(): void;
  exec(request: ExecMessage, client: ClientStream): Session;
  ping(): Promise<void>;
  touch(): number;
  detach(): void;
  stop(graceMs: number): void;
  kill(): void;
  drain(): Promise<void>;
  ended(): Promise<EndedMessage>;
  metrics(): Promise<MetricsMessage>;
  disconnected(client: Client): void;
}

/** A client that leaves this much unread is not read from until it has caught up. Bytes. */
const pauseAtBytes = 1024 * 1024;
/** A stranger who says nothing is not kept longer, ms. */
const helloWithinMs = 10_000;
/** Each takes memory until the guest, or the sandbox's end, brings the answer. */
const mostUnanswered = 1000;

/** One connection of an SDK or CLI process. */
export class Client implements ChannelHandler {
  readonly #channel: Channel;
  readonly #services: ClientServices;
  readonly #sessions = new Map<number, Session>();
  #greeted: boolean;
  #helloTimer: NodeJS.Timeout | null = null;
  #unanswered = 0;

  /** @param greeted true for the connection inherited from the process that started the sandbox */
  constructor(duplex: Duplex, services: ClientServices, greeted: boolean) {
    this.#services = services;
    this.#greeted = greeted;
    this.#channel = new Channel(duplex, { incoming: "client→supervisor", pauseAtBytes }, this);
    if (greeted) return;
    this.#helloTimer = setTimeout(() => {
      this.#channel.fail(new ProtocolError("the client did not say hello"));
    }, helloWithinMs);
  }

  /** Whether it has said who it is. */
  get greeted(): boolean {
    return this.#greeted;
  }

  send(stream: number, message: Message): void {
    this.#channel.send(stream, message);
  }

  /** Closes the connection once the client has read everything, and in any case after so many ms. */
  async end(withinMs = 10_000): Promise<void> {
    const timer = setTimeout(() => {
      this.#channel.fail(new RuntimeError(`the client did not read for ${withinMs} ms`));
    }, withinMs);
    await this.#channel.end();
    clearTimeout(timer);
  }

  message(stream: number, message: Message): void {
    if (!this.#greeted) {
      this.#greet(message);
      return;
    }
    if (message.type === "Exec") {
      this.#exec(stream, message);
      return;
    }
    const session = this.#sessions.get(stream);
    if (session !== undefined) {
      this.#toSession(stream, session, message);
    } else if (!isSessionMessage(message)) {
      void this.#answer(stream, message);
    }
    // Else it crossed the end of its session on the way.
  }

  bulk(stream: number, kind: BulkKind, payload: Buffer): void {
    if (kind !== FrameKind.stdin) throw new ProtocolError("a client may send stdin only");
    this.#sessions.get(stream)?.sendStdin(payload);
  }

  closed(): void {
    this.#clearHelloTimer();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) session.abandon();
    this.#services.disconnected(this);
  }

  #greet(message: Message): void {
    if (message.type !== "ClientHello") throw new ProtocolError("the client did not say hello");
    this.#clearHelloTimer();
    try {
      this.#checkHello(message);
      this.#services.admit();
    } catch (error) {
      this.#channel.send(0, encodeFailure(error));
      void this.end();
      return;
    }
    this.#greeted = true;
    const { id, name, state } = this.#services;
    this.#channel.send(0, {
      type: "SupervisorHello",
      protocolVersion: PROTOCOL_VERSION,
      sandboxId: id,
      name,
      state,
    });
  }

  #clearHelloTimer(): void {
    if (this.#helloTimer !== null) clearTimeout(this.#helloTimer);
    this.#helloTimer = null;
  }

  #checkHello(hello: ClientHelloMessage): void {
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      throw new ProtocolError(
        `the client speaks protocol version ${hello.protocolVersion}, the sandbox version ${PROTOCOL_VERSION}`,
        { hint: "Restart the sandbox with the version of microsandbox that you use now." },
      );
    }
    if (hello.sandboxId !== this.#services.id) {
      throw new SandboxReplacedError(`the sandbox named ${this.#services.name} is another one now`, {
        hint: "Get a new handle with Sandbox.get(name).",
      });
    }
  }

  #exec(stream: number, request: ExecMessage): void {
    if (stream === 0 || this.#sessions.has(stream)) throw new ProtocolError(`stream ${stream} is in use`);
    const client: ClientStream = {
      send: (message) => {
        if (endsSession(message)) this.#sessions.delete(stream);
        this.#channel.send(stream, message);
      },
      sendBulk: (kind, payload) => {
        this.#channel.sendBulk(stream, kind, payload);
      },
    };
    try {
      this.#sessions.set(stream, this.#services.exec(request, client));
    } catch (error) {
      this.#channel.send(stream, encodeFailure(error));
    }
  }

  #toSession(stream: number, session: Session, message: Message): void {
    switch (message.type) {
      case "StdinEnd":
        session.endStdin();
        return;
      case "Signal":
        session.signal(message.signal);
        return;
      case "Resize":
        session.resize(message.rows, message.cols);
        return;
      case "Credit":
        session.grantOutput(message.bytes);
        return;
      case "Release":
        this.#sessions.delete(stream);
        session.release();
        this.#channel.send(stream, { type: "Done" });
        return;
      default:
        throw new ProtocolError(`a client sent ${message.type} on a command's stream`);
    }
  }

  async #answer(stream: number, message: Message): Promise<void> {
    this.#unanswered++;
    try {
      if (this.#unanswered > mostUnanswered) {
        throw new RuntimeError(`there are ${mostUnanswered} requests without an answer already`, {
          hint: "Wait for answers before asking more.",
        });
      }
      this.#channel.send(stream, await this.#carryOut(message));
    } catch (error) {
      this.#channel.send(stream, encodeFailure(error));
    } finally {
      this.#unanswered--;
    }
  }

  async #carryOut(message: Message): Promise<Message> {
    const services = this.#services;
    switch (message.type) {
      case "Ping":
        await services.ping();
        return { type: "Pong", nonce: message.nonce };
      case "Touch":
        return { type: "Touched", activitySequence: services.touch() };
      case "MetricsRequest":
        return await services.metrics();
      case "Wait":
        return await services.ended();
      case "Detach":
        services.detach();
        break;
      case "Stop":
        services.stop(message.graceMs);
        break;
      case "Kill":
        services.kill();
        break;
      case "Drain":
        await services.drain();
        break;
      default:
        throw new ProtocolError(`a client sent ${message.type}`);
    }
    return { type: "Done" };
  }
}

function isSessionMessage(message: Message): boolean {
  return ["StdinEnd", "Signal", "Resize", "Credit", "Release"].includes(message.type);
}

function endsSession(message: Message): boolean {
  return message.type === "ExecExited" || message.type === "ExecFailed" || message.type === "Failure";
}
