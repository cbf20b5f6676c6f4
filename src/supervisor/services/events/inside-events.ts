import { EventRecordReader, isReservedName, stampEvent } from "../../../protocol/event-records.ts";
import type { DataKind } from "../../../protocol/frame.ts";
import type { Message } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import { violation } from "../../../protocol/violation.ts";

/** So much is taken in so many ms. Whoever says more in the guest has to wait, and nothing else of the sandbox does. */
const windowMs = 50;
const windowBytes = 4 * 1024 * 1024;
/** What an event costs besides its bytes, in bytes: 2,000 small ones fill a window. */
const eventBytes = 2048;

/** Takes what programs of a guest tell. */
export class InsideEvents implements StreamHandler {
  readonly #tell: (name: string, record: Buffer) => void;
  readonly #reader = new EventRecordReader();
  #stream: Stream | null = null;
  #windowBegan = 0;
  #spent = 0;
  /** Received, and not said to be taken. */
  #owed = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param tell gets each event, as it is sent on */
  constructor(tell: (name: string, record: Buffer) => void) {
    this.#tell = tell;
  }

  /** @param stream on which it comes */
  begin(stream: Stream): void {
    this.#stream = stream;
  }

  data(_kind: DataKind, payload: Buffer): void {
    const now = performance.now();
    if (now - this.#windowBegan > windowMs) {
      this.#windowBegan = now;
      this.#spent = 0;
    }
    const records = this.#reader.push(payload);
    const timeMs = Date.now();
    for (const { kind, name, bytes } of records) {
      if (kind !== "guest" || isReservedName(name)) throw violation(`an event of the host's from a guest`);
      stampEvent(bytes, timeMs);
      this.#tell(name, bytes);
    }
    this.#owed += payload.length;
    this.#spent += payload.length + records.length * eventBytes;
    if (this.#spent < windowBytes) this.#consume();
    else {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#spent = 0;
        this.#consume();
      }, windowMs).unref();
    }
  }

  message({ type }: Message): void {
    // It refuses, or has had the last word that it was asked for.
    if (type !== "Failure") throw violation(`${type} among events of a guest`);
    this.#close();
  }

  lost(): void {
    this.#close();
  }

  #consume(): void {
    if (this.#timer !== null || this.#owed === 0) return;
    this.#stream?.consume(this.#owed);
    this.#owed = 0;
  }

  #close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#stream = null;
  }
}
