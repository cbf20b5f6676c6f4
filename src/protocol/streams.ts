import type { Duplex } from "node:stream";
import { RuntimeError } from "../errors/index.ts";
import { Channel, type ChannelHandler, type ChannelOptions, type HeldFrame } from "./channel.ts";
import type { DataKind } from "./frame.ts";
import { MAX_OPEN_STREAMS, ODD_ROUTES } from "./generated/limits.ts";
import type { Message } from "./generated/messages.ts";
import { connectionMessages, serviceOpenedBy, type Service } from "./generated/services.ts";
import { reverse, type Route } from "./schema/types.ts";
import { Stream, type OpenStream, type StreamHandler } from "./stream.ts";
import { violation } from "./violation.ts";

/** What happens on a connection beside its streams. */
export interface ConnectionHandler {
  /** A message on stream 0. */
  message(message: Message): void;
  /**
   * The peer opens a stream of a service that it may open. Whatever is thrown costs it the connection.
   *
   * @returns who listens to the stream
   */
  accept(stream: Stream, opening: Message): StreamHandler;
  /** What those are told who use a stream of a connection that is gone. */
  reason(error: Error | null): Error;
  /**
   * The connection is gone; called once, after all streams were lost. null: the peer closed in order; a ProtocolError: it
   * broke the rules; else the socket failed.
   */
  closed(error: Error | null): void;
}

/** What a connection has open at a moment in which nothing is on its way. */
export interface OpenStreams {
  readonly streams: readonly OpenStream[];
  /** The next number that this end opens a stream with, and the last one that the peer has. */
  readonly next: number;
  readonly highest: number;
}

const lastId = 0xffff_ffff;

/**
 * All streams of a connection, the same on every hop and at both of its ends. Both ends may open streams, one with odd and one
 * with even numbers, which only grow (as RFC 9113, 5.1.1).
 */
export class Streams implements ChannelHandler {
  readonly #channel: Channel;
  readonly #incoming: Route;
  readonly #handler: ConnectionHandler;
  readonly #open = new Map<number, Stream>();
  /** What the peer's numbers are, modulo 2. */
  readonly #parity: number;
  #next: number;
  /** The last number that the peer has opened a stream with. */
  #highest = 0;
  #opened = 0;
  #accepted = 0;
  #lost: Error | null = null;

  constructor(duplex: Duplex, options: ChannelOptions, handler: ConnectionHandler) {
    this.#incoming = options.incoming;
    this.#handler = handler;
    this.#parity = ODD_ROUTES.includes(options.incoming) ? 1 : 0;
    this.#next = this.#parity === 1 ? 2 : 1;
    this.#channel = new Channel(duplex, options, this);
  }

  /** As the peer knows them: without what is held back. Of use only while nothing is on its way. */
  get state(): OpenStreams {
    const open = new Map([...this.#open.values()].map(({ state }) => [state.id, state]));
    let next = this.#next;
    for (const held of this.#channel.held) {
      const known = open.get(held.stream);
      if (known === undefined) continue;
      if (held.message !== null && serviceOpenedBy.has(held.message.type)) {
        open.delete(held.stream);
        next = Math.min(next, held.stream);
      } else open.set(held.stream, unsaid(known, held));
    }
    return { streams: [...open.values()], next, highest: this.#highest };
  }

  /**
   * Goes on with the streams that the peer has open: it is a copy of one that had them open with another end.
   *
   * @param listen says who listens to each
   */
  takeOver({ streams, next, highest }: OpenStreams, listen: (stream: Stream) => StreamHandler): void {
    this.#next = next;
    this.#highest = highest;
    for (const open of streams) {
      const service = serviceNamed(open.service);
      const over = (): void => {
        if (open.opener) this.#opened--;
        else this.#accepted--;
        this.#open.delete(open.id);
      };
      const stream = new Stream(this.#channel, open.id, service, open.opener, over, open);
      if (open.opener) this.#opened++;
      else this.#accepted++;
      this.#open.set(open.id, stream);
      stream.attach(listen(stream));
    }
  }

  /** Keeps what is sent from now on until {@link release}. */
  hold(): void {
    this.#channel.hold();
  }

  release(): void {
    this.#channel.release();
  }

  /** How many streams of this end's are open. */
  get opened(): number {
    return this.#opened;
  }

  /** How many bytes the peer has sent so far. */
  get received(): number {
    return this.#channel.received;
  }

  /** Why the connection is gone; null while it is there. */
  get lost(): Error | null {
    return this.#lost;
  }

  /** Sends a message on stream 0. */
  send(message: Message): void {
    this.#channel.send(0, message);
  }

  /**
   * Opens a stream. When the connection is gone, the handler is told so soon after.
   *
   * @param opening decides what service it is of
   * @param over called once, when the last word was said or the connection is gone
   * @throws RuntimeError when too many are open
   */
  open(opening: Message, handler: StreamHandler, over?: () => void): Stream {
    const outgoing = reverse[this.#incoming];
    const service = serviceOpenedBy.get(opening.type);
    if (service?.routes.includes(outgoing) !== true)
      throw new TypeError(`${opening.type} opens no stream on ${outgoing}`);
    if (this.#opened >= MAX_OPEN_STREAMS[outgoing] || this.#next > lastId) {
      throw new RuntimeError(`${this.#opened} streams are open on one connection already`, {
        hint: "Wait for some of the commands and requests to end, or use another connection.",
      });
    }
    const id = this.#next;
    const stream = new Stream(this.#channel, id, service, true, () => {
      this.#opened--;
      this.#open.delete(id);
      over?.();
    });
    stream.attach(handler);
    this.#next += 2;
    this.#opened++;
    this.#open.set(id, stream);
    const lost = this.#lost;
    if (lost === null) stream.send(opening);
    else queueMicrotask(() => stream.lose(lost));
    return stream;
  }

  /** Drops the connection because of what the peer did. */
  fail(error: Error): void {
    this.#channel.fail(error);
  }

  /** Says that nothing more is sent; resolves when the peer has read everything and closed. */
  end(): Promise<void> {
    return this.#channel.end();
  }

  /** @internal */
  message(id: number, message: Message): void {
    const stream = this.#open.get(id);
    if (stream !== undefined) stream.receive(message);
    else if (id !== 0) this.#accept(id, message);
    else if (connectionMessages.includes(message.type)) this.#handler.message(message);
    else throw violation(`not the connection's: ${message.type} on stream 0`);
  }

  /** @internal */
  data(id: number, kind: DataKind, payload: Buffer): void {
    const stream = this.#open.get(id);
    if (stream !== undefined) stream.receiveData(kind, payload);
    else if (!this.#crossed(id)) throw notOpen(id, `kind ${kind}`);
  }

  /** @internal */
  closed(error: Error | null): void {
    this.#lost = this.#handler.reason(error);
    for (const stream of [...this.#open.values()]) stream.lose(this.#lost);
    this.#handler.closed(error);
  }

  #accept(id: number, message: Message): void {
    const service = serviceOpenedBy.get(message.type);
    if (this.#crossed(id)) {
      if (service !== undefined) throw violation(`number used before: ${message.type} on stream ${id}`);
      return;
    }
    if (service === undefined || id % 2 !== this.#parity) throw notOpen(id, message.type);
    const most = MAX_OPEN_STREAMS[this.#incoming];
    if (this.#accepted >= most)
      throw violation(`too many streams: ${most} are open, and ${message.type} opens one more`);
    this.#highest = id;
    this.#accepted++;
    const stream = new Stream(this.#channel, id, service, false, () => {
      this.#accepted--;
      this.#open.delete(id);
    });
    this.#open.set(id, stream);
    stream.attach(this.#handler.accept(stream, message));
  }

  /**
   * Whether this may be about a stream of the peer's that this end has ended: then it met the last word on the way. On a stream
   * of this end's the peer has the last word, and nothing may follow.
   */
  #crossed(id: number): boolean {
    return id % 2 === this.#parity && id <= this.#highest;
  }
}

/** A stream as it was before this was to be sent on it. */
function unsaid(open: OpenStream, { message, bytes }: HeldFrame): OpenStream {
  switch (message?.type) {
    case undefined:
      return { ...open, credit: open.credit + bytes };
    case "Credit":
      return { ...open, window: open.window - message.bytes };
    case "End":
      return { ...open, ended: false };
    case "StopSending":
      return { ...open, stopped: false };
    default:
      return open;
  }
}

function serviceNamed(name: string): Service {
  for (const service of serviceOpenedBy.values()) if (service.name === name) return service;
  throw new RuntimeError(`there is no service ${name}`);
}

function notOpen(id: number, what: string): Error {
  return violation(`not open: ${what} on stream ${id}, which is not open`);
}
