import type { Channel } from "./channel.ts";
import { ReceiveWindow, SendCredit } from "./credit.ts";
import { encodeFailure } from "./failure.ts";
import { FrameKind, type DataKind } from "./frame.ts";
import type { Message } from "./generated/messages.ts";
import type { Service, SideRules } from "./generated/services.ts";
import { violation } from "./violation.ts";

/** Who gets what arrives on a stream. */
export interface StreamHandler {
  /** A message of the service. For the one who opened the stream Failure and the service's ending messages are the last one. */
  message(message: Message): void;
  /**
   * Bytes, which are the handler's until it returns: what it keeps, it copies. They count against the peer's credit until they are said
   * to be consumed.
   */
  data(kind: DataKind, payload: Buffer): void;
  /** The peer can take so many bytes more. */
  credit?(bytes: number): void;
  /** The peer sends no more data. */
  ended?(): void;
  /** The peer has no use for more data. */
  stopSending?(): void;
  /** The one who opened the stream wants it to end. What is not ended by then is ended with the same failure. */
  aborted?(): void;
  /** The connection is gone, and with it the stream; or `message` has refused the last word. */
  lost(error: Error): void;
}

/** A stream that is open, as the end that wants to go on with a copy of the peer has to know it. */
export interface OpenStream {
  readonly id: number;
  /** The name of its service. */
  readonly service: string;
  /** Whether the end that tells has opened it. */
  readonly opener: boolean;
  /** Bytes that this end may send. */
  readonly credit: number;
  /** Bytes that the peer may send. */
  readonly window: number;
  readonly ended: boolean;
  readonly stopped: boolean;
  readonly peerEnded: boolean;
  readonly peerStopped: boolean;
}

/**
 * One stream of a connection, on either end. Whatever the peer does that its side of the service may not is a ProtocolError,
 * which costs it the connection.
 */
export class Stream {
  readonly id: number;
  readonly service: Service;
  /** Whether this end has opened it. */
  readonly opener: boolean;
  readonly #channel: Channel;
  readonly #whenOver: () => void;
  readonly #mine: SideRules;
  readonly #theirs: SideRules;
  readonly #credit: SendCredit;
  readonly #window: ReceiveWindow;
  #handler: StreamHandler | null = null;
  #open = true;
  /** This end has opened the stream and wants no more of it; the peer has not had the last word yet. */
  #aborted = false;
  #ended = false;
  #stopped = false;
  #peerEnded = false;
  #peerStopped = false;

  /** @param over called once, when the last word was said */
  constructor(
    channel: Channel,
    id: number,
    service: Service,
    opener: boolean,
    over: () => void,
    open: OpenStream | null = null,
  ) {
    this.#credit = new SendCredit(undefined, open?.credit);
    this.#window = new ReceiveWindow(undefined, open?.window);
    if (open !== null) {
      this.#ended = open.ended;
      this.#stopped = open.stopped;
      this.#peerEnded = open.peerEnded;
      this.#peerStopped = open.peerStopped;
      if (open.peerStopped) this.#credit.close("the peer has no use for more data");
    }
    this.id = id;
    this.service = service;
    this.opener = opener;
    this.#channel = channel;
    this.#whenOver = over;
    this.#mine = opener ? service.opener : service.acceptor;
    this.#theirs = opener ? service.acceptor : service.opener;
  }

  /** Whether the last word was said, or the connection is gone. */
  get over(): boolean {
    return !this.#open;
  }

  /** Bytes that were received and not consumed. */
  get held(): number {
    return this.#window.held;
  }

  /** Bytes that may be sent now. */
  get credit(): number {
    return this.#credit.available;
  }

  /** As it is now. */
  get state(): OpenStream {
    return {
      id: this.id,
      service: this.service.name,
      opener: this.opener,
      credit: this.#credit.available,
      window: this.#window.remaining,
      ended: this.#ended,
      stopped: this.#stopped,
      peerEnded: this.#peerEnded,
      peerStopped: this.#peerStopped,
    };
  }

  /** Resolves when there is credit. @throws when the stream is over or the peer has no use for more; the signal's reason */
  writable(signal?: AbortSignal): Promise<void> {
    return this.#credit.wait(signal);
  }

  /** Sends a message of the service. On a stream that is over it does nothing: what was said last may still be on its way. */
  send(message: Message): void {
    if (!this.#open || this.#aborted) return;
    if (!this.opener && (message.type === "Failure" || this.service.ends.includes(message.type)))
      this.#finish();
    this.#channel.send(this.id, message);
  }

  /** @throws RangeError for more than there is credit for: whoever sends looks at `credit` first */
  sendData(kind: DataKind, payload: Buffer): void {
    if (!this.#open || this.#aborted || this.#peerStopped) return;
    if (payload.length > this.#credit.available || this.#ended)
      throw new RangeError(`${payload.length} bytes cannot be sent on stream ${this.id} now`);
    this.#credit.take(payload.length);
    this.#channel.sendData(this.id, kind, payload);
  }

  /** So many of the bytes that were received are done with: the peer may send others. */
  consume(bytes: number): void {
    const granted = this.#window.consume(bytes);
    if (granted > 0) this.send({ type: "Credit", bytes: granted });
  }

  /** Half-close: no more data from this end. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.send({ type: "End" });
  }

  /** No more data to this end. */
  stopSending(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.send({ type: "StopSending" });
  }

  /** Ends the stream with an error. The handler hears no more of it. */
  abort(error: Error): void {
    if (!this.#open || this.#aborted) return;
    this.send(encodeFailure(error));
    // Whoever opened it has to wait for the other one's last word.
    if (this.opener) this.#aborted = true;
  }

  /** @internal Whoever accepts a stream says with it who listens. */
  attach(handler: StreamHandler): void {
    this.#handler = handler;
  }

  /** @internal */
  receive(message: Message): void {
    switch (message.type) {
      case "Credit":
        if (!carries(this.#mine)) throw this.#wrong("no data this way", message.type);
        this.#credit.grant(message.bytes);
        this.#listener?.credit?.(message.bytes);
        return;
      case "End":
        if (!carries(this.#theirs)) throw this.#wrong("no data this way", message.type);
        if (this.#peerEnded) throw this.#wrong("said twice", message.type);
        this.#peerEnded = true;
        this.#listener?.ended?.();
        return;
      case "StopSending":
        if (!carries(this.#mine)) throw this.#wrong("no data this way", message.type);
        if (this.#peerStopped) throw this.#wrong("said twice", message.type);
        this.#peerStopped = true;
        this.#credit.close("the peer has no use for more data");
        this.#listener?.stopSending?.();
        return;
      case "Failure":
        if (this.opener) this.#last(message);
        else {
          this.#handler?.aborted?.();
          this.send(message);
        }
        return;
      default:
        if (this.opener && this.service.ends.includes(message.type)) this.#last(message);
        else if (this.#theirs.messages.includes(message.type)) this.#listener?.message(message);
        else throw this.#wrong("not of this service", message.type);
    }
  }

  /** @internal */
  receiveData(kind: DataKind, payload: Buffer): void {
    const allowed = kind === FrameKind.data ? this.#theirs.data : this.#theirs.extra;
    if (!allowed) throw this.#wrong("no data this way", `kind ${kind}`);
    if (this.#peerEnded) throw this.#wrong("data after its end", `kind ${kind}`);
    this.#window.receive(payload.length);
    this.#listener?.data(kind, payload);
  }

  /** @internal The connection is gone. */
  lose(error: Error): void {
    if (!this.#open) return;
    this.#finish();
    this.#listener?.lost(error);
  }

  /** Nobody listens to what arrives after an abort. */
  get #listener(): StreamHandler | null {
    return this.#aborted ? null : this.#handler;
  }

  #last(message: Message): void {
    this.#finish();
    const listener = this.#listener;
    try {
      listener?.message(message);
    } catch (error) {
      // It was not the end that the listener can believe in, and no other one will come.
      listener?.lost(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  #finish(): void {
    this.#open = false;
    this.#credit.close("the stream is over");
    this.#whenOver();
  }

  #wrong(rule: string, what: string): Error {
    return violation(`${rule}: ${what} on stream ${this.id} (${this.service.name})`);
  }
}

function carries({ data, extra }: SideRules): boolean {
  return data || extra;
}
