import { encodeEvent } from "../../../protocol/event-records.ts";
import { FrameKind, type DataKind } from "../../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../../protocol/generated/limits.ts";
import type { EndedMessage } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import { violation } from "../../../protocol/violation.ts";

/** Of what a client has not taken, so much waits for it. */
const mostWaiting = 8192;
const mostWaitingBytes = 4 * 1024 * 1024;

/**
 * Sends events to one client, as fast as it takes them. What finds no room is dropped, and how many that were is told in the place where
 * they would have been.
 */
export class EventQueue implements StreamHandler {
  readonly names: readonly string[];
  readonly #stream: Stream;
  readonly #over: () => void;
  #waiting: Buffer[] = [];
  /** Of the first of them so much was sent. */
  #sent = 0;
  #bytes = 0;
  #dropped = 0;
  #last: EndedMessage | null = null;
  readonly #emptied = Promise.withResolvers<void>();

  /** @param over called once, when nobody listens any more */
  constructor(stream: Stream, names: readonly string[], over: () => void) {
    this.#stream = stream;
    this.names = names;
    this.#over = over;
  }

  /** @param record whole, and shared with others */
  add(record: Buffer): void {
    if (this.#waiting.length >= mostWaiting || this.#bytes + record.length > mostWaitingBytes) {
      this.#dropped++;
      return;
    }
    this.#addDropped();
    this.#waiting.push(record);
    this.#bytes += record.length;
    this.#send();
  }

  /** So many events did not come so far. */
  drop(count: number): void {
    this.#dropped += count;
    this.#send();
  }

  /** Says the last word when all that came before is said. Resolves when that is so, or nobody listens any more. */
  async end(last: EndedMessage): Promise<void> {
    this.#last ??= last;
    this.#send();
    await this.#emptied.promise;
  }

  message(): void {
    throw violation("a subscriber of events has nothing to say");
  }

  data(kind: DataKind): void {
    throw violation(`no data this way: kind ${kind} on a subscription`);
  }

  credit(): void {
    this.#send();
  }

  stopSending(): void {
    this.#waiting = [];
    this.#close();
  }

  aborted(): void {
    this.#close();
  }

  lost(): void {
    this.#close();
  }

  #close(): void {
    this.#emptied.resolve();
    this.#over();
  }

  /** Always finds room: it is small, and there is one for each that did. */
  #addDropped(): void {
    if (this.#dropped === 0) return;
    const record = encodeEvent("dropped", Date.now(), "dropped", String(this.#dropped));
    this.#dropped = 0;
    this.#waiting.push(record);
    this.#bytes += record.length;
  }

  #send(): void {
    if (this.#stream.over) return;
    while (this.#stream.credit > 0) {
      if (this.#waiting.length === 0) this.#addDropped();
      if (this.#waiting.length === 0) break;
      const piece = this.#take(Math.min(this.#stream.credit, MAX_DATA_PAYLOAD));
      this.#stream.sendData(FrameKind.data, piece);
    }
    if (this.#last !== null && this.#waiting.length === 0 && this.#dropped === 0) {
      this.#stream.send(this.#last);
      this.#close();
    }
  }

  /** As many of the bytes that wait, in one piece. */
  #take(most: number): Buffer {
    const parts: Buffer[] = [];
    let length = 0;
    let whole = 0;
    for (const record of this.#waiting) {
      const part = record.subarray(this.#sent, this.#sent + most - length);
      parts.push(part);
      length += part.length;
      this.#sent += part.length;
      if (this.#sent < record.length) break;
      this.#sent = 0;
      this.#bytes -= record.length;
      whole++;
      if (length === most) break;
    }
    this.#waiting.splice(0, whole);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length);
  }
}
