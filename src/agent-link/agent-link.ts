import type { Duplex } from "node:stream";
import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { Channel } from "../protocol/channel.ts";
import type {
  AgentHelloMessage,
  ExecMessage,
  Message,
  MountMessage,
  StatsMessage,
} from "../protocol/generated/messages.ts";
import { PROTOCOL_VERSION } from "../protocol/generated/messages.ts";
import { clockMessage, seedMessage } from "../guest-setup/introduction.ts";
import { AgentSession, type SessionSink } from "./agent-session.ts";
import { GuestBootError } from "./guest-boot-error.ts";

export interface AgentLinkOptions {
  /** The connection is gone: null when the guest closed it in order. Called once. */
  readonly lost: (error: Error | null) => void;
  readonly frameTimeoutMs?: number;
  /** What the agent said when it was met first: it was restored since then and does not say it again. */
  readonly restored?: AgentHelloMessage;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/**
 * The supervisor's end of the wire to the agent. The guest is not trusted: whatever it sends that an honest agent would
 * not send at that moment ends the connection with a ProtocolError.
 */
export class AgentLink {
  readonly #channel: Channel;
  readonly #options: AgentLinkOptions;
  readonly #sessions = new Map<number, AgentSession>();
  /** Those who wait for the pong that is on its way, and for the one after it: one ping is under way at a time. */
  #pings: Waiter<void>[] = [];
  #nextPings: Waiter<void>[] = [];
  #helloWaiter: Waiter<AgentHelloMessage> | null = null;
  #mountedWaiter: Waiter<void> | null = null;
  #readyWaiter: Waiter<void> | null = null;
  #statsWaiters: Waiter<StatsMessage>[] = [];
  #shutdownWaiters: Waiter<void>[] = [];
  #nextStream = 1;
  #nonce = 0;
  #lost: Error | null = null;
  /** Resolves with the agent's first message. */
  readonly hello: Promise<AgentHelloMessage>;
  readonly #closed = Promise.withResolvers<void>();

  constructor(port: Duplex, options: AgentLinkOptions) {
    this.#options = options;
    this.hello =
      options.restored === undefined
        ? new Promise((resolve, reject) => (this.#helloWaiter = { resolve, reject }))
        : Promise.resolve(options.restored);
    this.hello.catch(() => undefined);
    this.#channel = new Channel(
      port,
      {
        incoming: "agent→supervisor",
        ...(options.frameTimeoutMs === undefined ? {} : { frameTimeoutMs: options.frameTimeoutMs }),
      },
      {
        message: (stream, message) => {
          this.#receive(stream, message);
        },
        bulk: (stream, kind, payload) => {
          this.#session(stream).receiveOutput(kind, payload);
        },
        closed: (error) => {
          this.#lose(error);
        },
      },
    );
  }

  /** Gives the guest randomness of its own. To be called before anything else that a guest does for its user. */
  seed(): void {
    this.#channel.send(0, seedMessage());
  }

  /** Tells the guest what time it is, as exactly as the way there is short. */
  setClock(): void {
    this.#channel.send(0, clockMessage());
  }

  /**
   * Gives the guest its root file system.
   *
   * @throws GuestBootError when it could not mount it; ProtocolError, RuntimeError when the connection was lost
   */
  mount(message: MountMessage): Promise<void> {
    return this.#ask((waiter) => {
      this.#mountedWaiter = waiter;
      this.#channel.send(0, message);
    });
  }

  /**
   * Tells the guest what to become, with all that has to come before it.
   *
   * @param messages the last one is a Boot
   * @throws as {@link introduced}
   */
  introduce(messages: readonly Message[]): Promise<void> {
    const ready = this.introduced(messages.some(({ type }) => type === "Mount"));
    for (const message of messages) this.#channel.send(0, message);
    return ready;
  }

  /**
   * Waits for a guest that was told what to become.
   *
   * @param mounts whether it was told to mount its root too
   * @throws GuestBootError when it could not; ProtocolError, RuntimeError when the connection was lost
   */
  async introduced(mounts: boolean): Promise<void> {
    const mounted = this.#ask<void>((waiter) => (mounts ? (this.#mountedWaiter = waiter) : waiter.resolve()));
    const ready = this.#ask<void>((waiter) => (this.#readyWaiter = waiter));
    await Promise.all([mounted, ready]);
  }

  /** Starts a command. What becomes of it is told to the sink. */
  exec(request: ExecMessage, sink: SessionSink): AgentSession {
    const stream = this.#nextStream++;
    const session = new AgentSession(this.#channel, stream, sink, () => this.#sessions.delete(stream));
    this.#sessions.set(stream, session);
    if (this.#lost === null) this.#channel.send(stream, request);
    else session.lose(this.#lost);
    return session;
  }

  /** Resolves when the agent has answered a ping that was sent after this call. */
  ping(): Promise<void> {
    return this.#ask((waiter) => {
      this.#nextPings.push(waiter);
      if (this.#pings.length === 0) this.#sendPing();
    });
  }

  #sendPing(): void {
    this.#pings = this.#nextPings;
    this.#nextPings = [];
    if (this.#pings.length === 0) return;
    this.#nonce = (this.#nonce + 1) >>> 0;
    this.#channel.send(0, { type: "Ping", nonce: this.#nonce });
  }

  stats(): Promise<StatsMessage> {
    return this.#ask((waiter) => {
      this.#statsWaiters.push(waiter);
      if (this.#statsWaiters.length === 1) this.#channel.send(0, { type: "StatsRequest" });
    });
  }

  /**
   * Resolves when the guest has nothing left to flush. One that is asked for while another is under way is told to the guest,
   * whose grace it may shorten, and gets the same answer.
   *
   * @param signal what every process gets first, by its number in the guest
   */
  shutdown(graceMs: number, signal: number): Promise<void> {
    return this.#ask((waiter) => {
      this.#shutdownWaiters.push(waiter);
      this.#channel.send(0, { type: "Shutdown", graceMs, signal });
    });
  }

  /** The connection is gone. */
  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Resolves when everything the guest has sent was received and the connection is closed, or after so many ms. */
  async closed(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.#closed.promise, late]);
    clearTimeout(timer);
  }

  #ask<T>(send: (waiter: Waiter<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) reject(this.#lost);
      else send({ resolve, reject });
    });
  }

  #receive(stream: number, message: Message): void {
    switch (message.type) {
      case "AgentHello":
        this.#receiveHello(message);
        return;
      case "Mounted":
        this.#once(this.#mountedWaiter, "Mounted").resolve();
        this.#mountedWaiter = null;
        return;
      case "Ready":
        this.#once(this.#mountedWaiter === null ? this.#readyWaiter : null, "Ready").resolve();
        this.#readyWaiter = null;
        return;
      case "BootFailed": {
        const failure = new GuestBootError(message);
        this.#once(this.#mountedWaiter ?? this.#readyWaiter, "BootFailed").reject(failure);
        this.#readyWaiter?.reject(failure);
        this.#mountedWaiter = null;
        this.#readyWaiter = null;
        return;
      }
      case "Pong":
        if (this.#pings.length === 0 || message.nonce !== this.#nonce) throw unexpected("Pong");
        for (const waiter of this.#pings) waiter.resolve();
        this.#sendPing();
        return;
      case "Stats": {
        const waiters = this.#statsWaiters;
        if (waiters.length === 0) throw unexpected("Stats");
        this.#statsWaiters = [];
        for (const waiter of waiters) waiter.resolve(message);
        return;
      }
      case "ShuttingDown":
        // The guest also announces an end that began inside it.
        for (const waiter of this.#shutdownWaiters.splice(0)) waiter.resolve();
        return;
      default:
        this.#session(stream).receive(message);
    }
  }

  #receiveHello(hello: AgentHelloMessage): void {
    const waiter = this.#once(this.#helloWaiter, "AgentHello");
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      throw new ProtocolError(
        `the guest's agent speaks protocol version ${hello.protocolVersion}, this supervisor version ${PROTOCOL_VERSION}`,
        { hint: "Build the guest again (npm run build)." },
      );
    }
    this.#helloWaiter = null;
    waiter.resolve(hello);
  }

  #once<T>(waiter: Waiter<T> | null, name: string): Waiter<T> {
    if (waiter === null) throw unexpected(name);
    return waiter;
  }

  #session(stream: number): AgentSession {
    const session = this.#sessions.get(stream);
    if (session === undefined)
      throw new ProtocolError(`the guest sent a frame on stream ${stream}, which is not open`);
    return session;
  }

  #lose(error: Error | null): void {
    const reason = error ?? new RuntimeError("the connection to the guest was closed");
    this.#lost = reason;
    for (const waiter of [
      this.#helloWaiter,
      this.#mountedWaiter,
      this.#readyWaiter,
      ...this.#shutdownWaiters,
      ...this.#pings,
      ...this.#nextPings,
      ...this.#statsWaiters,
    ]) {
      waiter?.reject(reason);
    }
    for (const session of [...this.#sessions.values()]) session.lose(reason);
    this.#options.lost(error);
    this.#closed.resolve();
  }
}

function unexpected(name: string): ProtocolError {
  return new ProtocolError(`the guest sent ${name} that nobody asked for`);
}
