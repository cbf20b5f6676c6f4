import type { Duplex } from "node:stream";
import { AgentUnresponsiveError, ProtocolError, RuntimeError } from "../errors/index.ts";
import { orTimeout } from "../host/or-timeout.ts";
import type {
  AgentHelloMessage,
  BecomeCopyMessage,
  BootMessage,
  ExecMessage,
  Message,
  MountMessage,
  StatsMessage,
  TellInsideMessage,
  ToldInsideMessage,
} from "../protocol/generated/messages.ts";
import { PROTOCOL_VERSION } from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { Streams, type OpenStreams } from "../protocol/streams.ts";
import { clockMessage, seedMessage } from "../guest-setup/boot-messages.ts";
import type { GuestFill } from "../guest-setup/guest-fill.ts";
import { AgentSession, type SessionSink } from "./agent-session.ts";
import { applyFill } from "./apply-fill.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import { GuestEvents, type TellEvent } from "./guest-events.ts";

export interface AgentLinkOptions {
  /** The connection is gone: null when the guest closed it in order. Called once. */
  readonly lost: (error: Error | null) => void;
  /** Told what happens in the guest, such as a process killed for want of memory. */
  readonly event?: TellEvent;
  readonly frameTimeoutMs?: number;
  /** What the agent said when it was met first: it was restored since then and does not say it again. */
  readonly restored?: AgentHelloMessage;
}

/** What a copy of a guest is from then on. */
export type CopyIdentity = Omit<BecomeCopyMessage, "type" | "goesOn">;

/** The guest itself gives up sooner, ms. */
const stillWithinMs = 15_000;

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/**
 * The supervisor's end of the wire to the agent. The guest is not trusted: whatever it sends that an honest agent would
 * not send at that moment ends the connection with a ProtocolError.
 */
export class AgentLink {
  readonly #streams: Streams;
  readonly #options: AgentLinkOptions;
  #helloWaiter: Waiter<AgentHelloMessage> | null = null;
  #mountedWaiter: Waiter<void> | null = null;
  #readyWaiter: Waiter<void> | null = null;
  /** The ping that is on its way, and the one after it: one is under way at a time. */
  #ping: Promise<void> | null = null;
  #nextPing: Promise<void> | null = null;
  #stats: Promise<StatsMessage> | null = null;
  #nonce = 0;
  #events: GuestEvents | null = null;
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
    const { frameTimeoutMs } = options;
    this.#streams = new Streams(
      port,
      { incoming: "agent→supervisor", ...(frameTimeoutMs === undefined ? {} : { frameTimeoutMs }) },
      {
        message: (message) => {
          this.#receive(message);
        },
        accept: (_stream, opening) => this.#accept(opening),
        reason: whyLost,
        closed: (error) => {
          this.#lose(error);
        },
      },
    );
  }

  /** Gives the guest randomness of its own. To be called before anything else that a guest does for its user. */
  seed(): void {
    this.#streams.send(seedMessage());
  }

  /** Tells the guest what time it is, as exactly as the way there is short. */
  setClock(): void {
    this.#streams.send(clockMessage());
  }

  /**
   * Gives the guest its root file system.
   *
   * @throws GuestBootError when it could not mount it; ProtocolError, RuntimeError when the connection was lost
   */
  mount(message: MountMessage): Promise<void> {
    return this.#ask((waiter) => {
      this.#mountedWaiter = waiter;
      this.#streams.send(message);
    });
  }

  /**
   * Tells the guest what to become, with all that has to come before it.
   *
   * @param messages the last one is a Boot, unless {@link sendBoot} follows
   * @throws as {@link booted}
   */
  boot(messages: readonly Message[]): Promise<void> {
    const ready = this.booted(messages.some(({ type }) => type === "Mount"));
    for (const message of messages) this.#streams.send(message);
    return ready;
  }

  /** Tells a guest what to become for which {@link booted} waits already. */
  sendBoot(message: BootMessage): void {
    this.#streams.send(message);
  }

  /**
   * Puts something into the root of a guest that is not booted.
   *
   * @throws PatchFailedError; the signal's reason; what ended the connection
   */
  async fill(fill: GuestFill, signal: AbortSignal): Promise<void> {
    await applyFill((request, handler) => this.#streams.open(request, handler), fill, signal);
  }

  /**
   * Waits for a guest that was told what to become.
   *
   * @param mounts whether it was told to mount its root too
   * @throws GuestBootError when it could not; ProtocolError, RuntimeError when the connection was lost
   */
  async booted(mounts: boolean): Promise<void> {
    const mounted = this.#ask<void>((waiter) => (mounts ? (this.#mountedWaiter = waiter) : waiter.resolve()));
    const ready = this.#ask<void>((waiter) => (this.#readyWaiter = waiter));
    await Promise.all([mounted, ready]);
  }

  /** Starts a command. What becomes of it is told to the sink. */
  exec(request: ExecMessage, sink: SessionSink): AgentSession {
    return AgentSession.start(this.#streams, request, sink);
  }

  /**
   * Asks for something that is about files.
   *
   * @param over called once, when the guest has said its last word or the connection is gone
   */
  openFiles(request: Message, handler: StreamHandler, over?: () => void): Stream {
    return this.#streams.open(request, handler, over);
  }

  /** Has the guest tell what its programs tell, until the stream is aborted. */
  listenInside(handler: StreamHandler): Stream {
    return this.#streams.open({ type: "ListenInside" }, handler);
  }

  /** Tells those programs of the guest of an event that listen for it. */
  async tellInside(event: TellInsideMessage): Promise<ToldInsideMessage> {
    return await this.#request(event, (answer) => {
      if (answer.type !== "ToldInside") throw unexpected(answer.type);
      return answer;
    });
  }

  /** Resolves when the agent has answered a ping that was sent after this call. */
  ping(): Promise<void> {
    if (this.#ping === null) return (this.#ping = this.#sendPing());
    const again = (): Promise<void> => {
      this.#nextPing = null;
      return (this.#ping = this.#sendPing());
    };
    return (this.#nextPing ??= this.#ping.then(again, again));
  }

  async #sendPing(): Promise<void> {
    try {
      this.#nonce = (this.#nonce + 1) >>> 0;
      const nonce = this.#nonce;
      await this.#request({ type: "Ping", nonce }, (answer) => {
        if (answer.type !== "Pong" || answer.nonce !== nonce) throw unexpected(answer.type);
      });
    } finally {
      this.#ping = null;
    }
  }

  async stats(): Promise<StatsMessage> {
    this.#stats ??= this.#request({ type: "StatsRequest" }, (answer) => {
      if (answer.type !== "Stats") throw unexpected(answer.type);
      return answer;
    }).finally(() => {
      this.#stats = null;
    });
    return await this.#stats;
  }

  /**
   * Resolves when the guest has nothing left to flush. One that is asked for while another is under way is told to the guest,
   * whose grace it may shorten, and gets the same answer.
   *
   * @param signal what every process gets first, by its number in the guest
   */
  async shutdown(graceMs: number, signal: number): Promise<void> {
    await this.#request({ type: "Shutdown", graceMs, signal }, () => undefined);
  }

  /**
   * Has all processes of the guest stand still. When it resolves, nothing is on the way between the guest and here, and nothing is sent
   * until {@link goOn}: then the guest can be copied.
   *
   * @returns what a link with a copy has to know
   * @throws RuntimeError when it cannot, or does not in time; the guest goes on then
   */
  async holdStill(withinMs = stillWithinMs): Promise<OpenStreams> {
    const still = this.#request({ type: "HoldStill" }, (answer) => {
      if (answer.type !== "StandsStill") throw unexpected(answer.type);
    });
    this.#streams.hold();
    try {
      const inTime = await orTimeout(
        still.then(() => true),
        withinMs,
      );
      if (inTime === null) throw new RuntimeError(`the guest does not stand still within ${withinMs} ms`);
      return this.#streams.state;
    } catch (error) {
      // It may stand still later, and waits for a word then.
      this.goOn();
      throw error;
    }
  }

  /** Goes on with a guest that stands still. @param elsewhere in another machine than before, so that its connections to the outside are reset */
  goOn(elsewhere = false): void {
    this.#streams.release();
    this.#streams.send({ type: "GoOn", elsewhere });
    this.#streams.send(clockMessage());
  }

  /**
   * Takes over what a guest that stands still had open with another link. Nothing is said before {@link goOn}.
   *
   * @param listen says who listens to a stream; null: nobody, and it is given up
   */
  takeOver(open: OpenStreams, listen: (stream: Stream) => StreamHandler | null): void {
    this.#streams.hold();
    this.#streams.takeOver(open, (stream) => {
      if (stream.service.name === "events") return this.#listenToEvents();
      const listener = listen(stream);
      if (listener !== null) return listener;
      stream.abort(new RuntimeError("the sandbox was suspended meanwhile"));
      return nobody;
    });
  }

  /**
   * Makes a guest that stands still, a copy of another one, a sandbox of its own, and goes on with it.
   *
   * @param goesOn false: it stands still until {@link goOn}
   * @throws as {@link booted}
   */
  async becomeCopy(copy: CopyIdentity, goesOn = true): Promise<void> {
    const ready = this.booted(false);
    this.#streams.send(seedMessage());
    this.#streams.send(clockMessage());
    this.#streams.send({ type: "BecomeCopy", ...copy, goesOn });
    // It was kept back until now; what is said to single streams comes after it.
    this.#streams.release();
    await ready;
  }

  /**
   * Goes on with a guest that stands still and was taken over: with new random numbers, whoever has its memory besides, and the time of now.
   * Where it cannot have them it does not go on, and the connection fails.
   */
  goOnAfresh(): void {
    this.#streams.send(seedMessage());
    this.#streams.send(clockMessage());
    this.goOn(true);
  }

  /**
   * Does in a copy that stands still, and goes on doing so, what is done when somebody has it: what is done for the first time in a machine
   * takes many times as long. Nobody has the streams of its commands; it must have none.
   *
   * @param work what else is done with it; no stream of it is left open
   * @returns what it has open then, for {@link takeOver}
   * @throws as {@link booted}, and what the work throws
   */
  async rehearse(open: OpenStreams, copy: CopyIdentity, work: () => Promise<void>): Promise<OpenStreams> {
    this.takeOver(open, () => null);
    await this.becomeCopy(copy, false);
    await work();
    await this.ping();
    // What is left is taken over already.
    return { ...this.#streams.state, streams: [] };
  }

  /** Resolves when nothing is left that is not on the guest's disks. @throws RuntimeError, ProtocolError */
  async flush(): Promise<void> {
    await this.#request({ type: "FlushDisks" }, (answer) => {
      if (answer.type !== "FileDone") throw unexpected(answer.type);
    });
  }

  /** How many bytes the agent has sent so far: whatever they are, they are a sign of life. */
  get received(): number {
    return this.#streams.received;
  }

  /** Drops the connection. Whoever waits for the guest is told this. */
  giveUp(reason: AgentUnresponsiveError | RuntimeError): void {
    this.#streams.fail(reason);
  }

  /** The connection is gone. */
  get lost(): boolean {
    return this.#streams.lost !== null;
  }

  /** Resolves when everything the guest has sent was received and the connection is closed, or after so many ms. */
  async closed(withinMs: number): Promise<void> {
    await orTimeout(this.#closed.promise, withinMs);
  }

  #receive(message: Message): void {
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
      default:
        throw unexpected(message.type);
    }
  }

  #accept(opening: Message): StreamHandler {
    if (opening.type !== "Events" || this.#events !== null) throw unexpected(opening.type);
    return this.#listenToEvents();
  }

  #listenToEvents(): GuestEvents {
    this.#events = new GuestEvents(this.#options.event ?? ((): void => undefined));
    return this.#events;
  }

  #lose(error: Error | null): void {
    const reason = whyLost(error);
    for (const waiter of [this.#helloWaiter, this.#mountedWaiter, this.#readyWaiter]) waiter?.reject(reason);
    this.#options.lost(error);
    this.#closed.resolve();
  }

  #ask<T>(send: (waiter: Waiter<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#streams.lost !== null) reject(this.#streams.lost);
      else send({ resolve, reject });
    });
  }

  /** @param take turns the answer into the result; what it throws costs the guest its connection */
  #request<T>(question: Message, take: (answer: Message) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#streams.open(question, {
        message: (answer) => {
          if (answer.type === "Failure") {
            const { message, hint } = answer;
            reject(new RuntimeError(`the guest refused: ${message}`, hint === "" ? {} : { hint }));
          } else resolve(take(answer));
        },
        data: () => undefined,
        lost: reject,
      });
    });
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
}

const nobody: StreamHandler = { message: () => undefined, data: () => undefined, lost: () => undefined };

function unexpected(name: string): ProtocolError {
  return new ProtocolError(`the guest sent ${name} that nobody asked for`);
}

function whyLost(error: Error | null): Error {
  if (error === null) return new RuntimeError("the connection to the guest was closed");
  if (error instanceof ProtocolError || error instanceof AgentUnresponsiveError) return error;
  return new RuntimeError(`the connection to the guest was lost: ${error.message}`, { cause: error });
}
