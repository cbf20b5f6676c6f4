import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { EventRecordReader, type EventRecord } from "../../protocol/event-records.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { DataKind } from "../../protocol/frame.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";
import type { EventData } from "./event-types.ts";

/** Of what nobody has taken, so much is here; the rest waits in the supervisor. Bytes. */
const mostAhead = 1024 * 1024;

/** A sandbox's events as its supervisor tells them. */
export class EventStream implements StreamHandler, Disposable {
  readonly #borrowed: BorrowedConnection;
  readonly #stream: Stream;
  readonly #reader = new EventRecordReader();
  #waiting: EventRecord[] = [];
  /** Which of them is next. */
  #at = 0;
  /** Bytes of those that wait. */
  #ahead = 0;
  /** Bytes that were received, and not said to be taken. */
  #owed = 0;
  #hasBegun = false;
  /** null: there is more to come. */
  #end: { readonly error: Error | null } | null = null;
  #news = Promise.withResolvers<void>();

  /** @throws RuntimeError when too much is asked of the connection already */
  constructor(borrowed: BorrowedConnection, names: readonly string[]) {
    this.#borrowed = borrowed;
    try {
      this.#stream = borrowed.connection.subscribe({ type: "WatchEvents", names: [...names] }, this);
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when all that comes to pass from now on is told. @throws what the supervisor answers; the signal's reason */
  async begun(signal: AbortSignal): Promise<void> {
    while (!this.#hasBegun && this.#end === null) await this.#wait(signal);
    if (this.#end?.error) throw this.#end.error;
  }

  /**
   * The next event; null when the sandbox has ended.
   *
   * @throws RuntimeError when the connection is lost; the signal's reason
   */
  async next(signal: AbortSignal): Promise<EventData | null> {
    for (;;) {
      signal.throwIfAborted();
      const record = this.#take();
      if (record !== null) return eventOf(record);
      if (this.#end?.error) throw this.#end.error;
      if (this.#end !== null) return null;
      await this.#wait(signal);
    }
  }

  [Symbol.dispose](): void {
    this.#stream.abort(new RuntimeError("nobody waits for events any more"));
    this.#borrowed[Symbol.dispose]();
  }

  /** @internal */
  message(message: Message): void {
    if (message.type === "EventsBegin") this.#hasBegun = true;
    else if (message.type === "Ended") this.#end = { error: null };
    else if (message.type === "Failure") this.#end = { error: decodeFailure(message) };
    else throw new ProtocolError(`the supervisor sent ${message.type} among events`);
    this.#tell();
  }

  /** @internal */
  data(_kind: DataKind, payload: Buffer): void {
    for (const record of this.#reader.push(payload)) {
      this.#waiting.push(record);
      this.#ahead += record.bytes.length;
    }
    this.#owed += payload.length;
    this.#grant();
    this.#tell();
  }

  /** @internal */
  lost(error: Error): void {
    this.#end ??= { error };
    this.#tell();
  }

  /** While somebody waits, the program goes on. */
  async #wait(signal: AbortSignal): Promise<void> {
    const release = this.#borrowed.connection.hold();
    try {
      await unlessAborted(this.#news.promise, signal);
    } finally {
      release();
    }
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  #take(): EventRecord | null {
    const record = this.#waiting[this.#at];
    if (record === undefined) return null;
    this.#at++;
    if (this.#at === this.#waiting.length) {
      this.#waiting = [];
      this.#at = 0;
    }
    this.#ahead -= record.bytes.length;
    this.#grant();
    return record;
  }

  #grant(): void {
    if (this.#owed === 0 || this.#ahead > mostAhead) return;
    this.#stream.consume(this.#owed);
    this.#owed = 0;
  }
}

function eventOf({ kind, timeMs, name, data }: EventRecord): EventData {
  const time = new Date(timeMs);
  if (kind === "dropped") return droppedEvent(Number(data.toString()), time);
  if (data.length === 0) return { event: name, kind, time };
  try {
    return { event: name, kind, time, data: JSON.parse(data.toString()) };
  } catch {
    // The guest's agent has looked at it, unless it is not what it was.
    return droppedEvent(1, time);
  }
}

/** @param count null: nobody knows */
export function droppedEvent(count: number | null, time: Date): EventData {
  return { event: "dropped", kind: "dropped", time, data: { count } };
}
