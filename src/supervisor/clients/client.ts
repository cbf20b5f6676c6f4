import type { Duplex } from "node:stream";
import { ProtocolError, RuntimeError, SandboxReplacedError } from "../../errors/index.ts";
import { decodeFailure, encodeFailure } from "../../protocol/failure.ts";
import {
  PROTOCOL_VERSION,
  type ClientHelloMessage,
  type Message,
  type SandboxState,
} from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { Streams, type ConnectionHandler } from "../../protocol/streams.ts";
import { violation } from "../../protocol/violation.ts";
import type { CommandServices } from "../services/commands.ts";
import type { DiskServices } from "../services/disk-hold.ts";
import type { FileServices } from "../services/files.ts";
import type { JobServices } from "../services/jobs.ts";
import type { LifecycleServices } from "../services/lifecycle.ts";
import type { LogServices } from "../services/log-growth.ts";
import type { MetricsServices } from "../services/metrics.ts";
import type { NetworkServices } from "../services/network/network-services.ts";
import type { Answer, ServiceRegistry } from "../services/registry.ts";
import type { StateServices } from "../services/states.ts";

/** What a connected client can ask of the sandbox. */
export interface ClientServices
  extends
    CommandServices,
    DiskServices,
    FileServices,
    JobServices,
    LifecycleServices,
    LogServices,
    MetricsServices,
    NetworkServices,
    StateServices {
  readonly id: string;
  readonly name: string;
  readonly state: SandboxState;
  /** @throws RuntimeError when there are too many clients */
  admit(): void;
  disconnected(client: Client): void;
}

/** A client that leaves this much unread is not read from until it has caught up. Bytes. */
const pauseAtBytes = 1024 * 1024;
/** A stranger who says nothing is not kept longer, ms. */
const helloWithinMs = 10_000;
/** Each takes memory until the guest, or the sandbox's end, brings the answer. */
const mostUnanswered = 1000;
/** Each costs work whenever something changes, for as long as the client likes. */
const mostSubscriptions = 64;

/** One connection of an SDK or CLI process: says hello, keeps limits, and passes on what is asked to whoever does it. */
export class Client implements ConnectionHandler {
  readonly #streams: Streams;
  readonly #services: ClientServices;
  readonly #registry: ServiceRegistry;
  #greeted: boolean;
  #helloTimer: NodeJS.Timeout | null = null;
  #unanswered = 0;
  /** Those that are over are forgotten when the next one is opened. */
  #subscriptions: readonly Stream[] = [];

  /** @param greeted true for the connection inherited from the process that started the sandbox */
  constructor(duplex: Duplex, services: ClientServices, registry: ServiceRegistry, greeted: boolean) {
    this.#services = services;
    this.#registry = registry;
    this.#greeted = greeted;
    this.#streams = new Streams(duplex, { incoming: "client→supervisor", pauseAtBytes }, this);
    if (greeted) return;
    this.#helloTimer = setTimeout(() => {
      this.#streams.fail(violation("the client did not say hello"));
    }, helloWithinMs);
  }

  /** Whether it has said who it is. */
  get greeted(): boolean {
    return this.#greeted;
  }

  /** Tells it something that belongs to no stream. */
  send(message: Message): void {
    this.#streams.send(message);
  }

  /** Asks it something that has one answer. @throws what it answers, or that it is gone; aborted with the signal */
  async ask(message: Message, signal: AbortSignal): Promise<Message> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const stream = this.#streams.open(message, { message: resolve, data: () => undefined, lost: reject });
    const giveUp = (): void => {
      reject(signal.reason as Error);
      if (!stream.over) stream.abort(new RuntimeError("nobody waits for the answer any more"));
    };
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      const answer = await promise;
      if (answer.type === "Failure") throw decodeFailure(answer);
      return answer;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Asks for the files that are mounted at a path of the guest. */
  provideFiles(path: string, handler: StreamHandler): Stream {
    return this.#streams.open({ type: "ProvideFiles", path }, handler);
  }

  /** Asks it something that has more than one answer. @param over called once, when it is done @throws RuntimeError when too much was asked */
  converse(opening: Message, handler: StreamHandler, over: () => void): Stream {
    return this.#streams.open(opening, handler, over);
  }

  /** Closes the connection once the client has read everything, and in any case after so many ms. */
  async end(withinMs = 10_000): Promise<void> {
    const timer = setTimeout(() => {
      this.#streams.fail(new RuntimeError(`the client did not read for ${withinMs} ms`));
    }, withinMs);
    await this.#streams.end();
    clearTimeout(timer);
  }

  message(message: Message): void {
    if (this.#greeted || message.type !== "ClientHello")
      throw violation(`${message.type} instead of a hello`);
    this.#clearHelloTimer();
    try {
      this.#checkHello(message);
      this.#services.admit();
    } catch (error) {
      this.#streams.send(encodeFailure(error));
      void this.end();
      return;
    }
    this.#greeted = true;
    const { id, name, state } = this.#services;
    this.#streams.send({
      type: "SupervisorHello",
      protocolVersion: PROTOCOL_VERSION,
      sandboxId: id,
      name,
      state,
    });
  }

  accept(stream: Stream, opening: Message): StreamHandler {
    if (!this.#greeted) throw violation("the client did not say hello");
    const answer = this.#registry.answerTo(opening.type);
    if (answer !== null) {
      void this.#answer(stream, opening, answer);
      return nobody;
    }
    const accept = this.#registry.acceptOf(opening.type);
    if (accept === null) throw violation(`nobody deals with ${opening.type}`);
    try {
      if (this.#registry.isSubscription(opening.type)) this.#countSubscription(stream);
      return accept(opening, stream);
    } catch (error) {
      stream.send(encodeFailure(error));
      return nobody;
    }
  }

  reason(error: Error | null): Error {
    return error ?? new RuntimeError("the client is gone");
  }

  closed(): void {
    this.#clearHelloTimer();
    this.#services.disconnected(this);
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

  /** @throws RuntimeError when the client has too many */
  #countSubscription(stream: Stream): void {
    const open = this.#subscriptions.filter(({ over }) => !over);
    if (open.length >= mostSubscriptions) {
      throw new RuntimeError(`there are ${mostSubscriptions} subscriptions on one connection already`, {
        hint: "Close those that are not needed any more, or use another connection.",
      });
    }
    this.#subscriptions = [...open, stream];
  }

  async #answer(stream: Stream, request: Message, answer: Answer): Promise<void> {
    this.#unanswered++;
    try {
      if (this.#unanswered > mostUnanswered) {
        throw new RuntimeError(`there are ${mostUnanswered} requests without an answer already`, {
          hint: "Wait for answers before asking more.",
        });
      }
      stream.send(await answer(request));
    } catch (error) {
      stream.send(encodeFailure(error));
    } finally {
      this.#unanswered--;
    }
  }
}

/** Listens to a stream on which nothing but the end can come. */
const nobody: StreamHandler = {
  message: () => undefined,
  data: () => undefined,
  lost: () => undefined,
};
