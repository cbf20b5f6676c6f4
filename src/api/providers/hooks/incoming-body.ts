import { ReadableStream, type ReadableStreamDefaultController } from "node:stream/web";
import type { Stream } from "../../../protocol/stream.ts";

/** The body of a message, as a function of this program reads it: nothing comes before the first read, and no more than is read. */
export class IncomingBody {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #stream: Stream;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly #queue: Buffer[] = [];
  #hasBegun = false;
  /** Whoever reads waits for the next piece. */
  #isWanted: (() => void) | null = null;
  #hasEnded = false;
  #isOver = false;

  constructor(stream: Stream) {
    this.#stream = stream;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => {
          this.#end();
        },
      },
      // Nothing is asked for before somebody reads.
      { highWaterMark: 0 },
    );
  }

  /** Whether any of it was asked for. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  take(payload: Buffer): void {
    if (this.#isOver) {
      this.#consume(payload.length);
      return;
    }
    this.#queue.push(Buffer.from(payload));
    this.#pass();
  }

  ended(): void {
    this.#hasEnded = true;
    this.#pass();
  }

  /** Whoever still reads is told why nothing more comes. */
  close(why: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#controller?.error(new Error(why));
  }

  async #pull(): Promise<void> {
    if (this.#isOver) return;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#stream.send({ type: "HookReads" });
    }
    await new Promise<void>((resolve) => {
      this.#isWanted = resolve;
      this.#pass();
    });
  }

  #pass(): void {
    const wanted = this.#isWanted;
    if (wanted === null || this.#isOver) return;
    const bytes = this.#queue.shift();
    if (bytes !== undefined) {
      this.#consume(bytes.length);
      // What a program gets is its own to keep.
      this.#controller?.enqueue(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    } else if (this.#hasEnded) {
      this.#isOver = true;
      this.#controller?.close();
    } else return;
    this.#isWanted = null;
    wanted();
  }

  #consume(bytes: number): void {
    if (!this.#stream.over) this.#stream.consume(bytes);
  }

  #end(): void {
    this.#isOver = true;
    this.#queue.length = 0;
    if (!this.#stream.over && !this.#hasEnded) this.#stream.stopSending();
    this.#isWanted?.();
    this.#isWanted = null;
  }
}
