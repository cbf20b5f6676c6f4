import { Duplex } from "node:stream";
import { JoinedBytes } from "../../../host/system/joined-bytes.ts";
import type { TcpConnection, TcpHandler } from "../../tcp/connection.ts";
import type { Flow } from "../flow-log.ts";
import { bytesOf, Lane, type Piece, type Slabs } from "../slabs.ts";
import { Linger } from "./linger.ts";

type Reason = "closed" | "reset" | "timeout";

/**
 * A connection with the guest as a stream, for whoever reads what passes. Its ends are independent of each other: after `end()` what the
 * guest still says is read.
 *
 * Back-pressure: what the guest sends is used up only when the reader wants more, so that no more of it waits than the connection's window;
 * no more is taken for the guest while as much waits for it as should.
 */
export class ConnectionStream extends Duplex {
  /** Whom bytes are counted for. */
  flow: Flow | null = null;
  /** Said before anything comes of it. */
  connection: TcpConnection | null = null;
  readonly #lane: Lane;
  #unread: Piece[] = [];
  #resume: (() => void) | null = null;
  /** Of the guest, until the reader wants it. */
  readonly #waiting = new JoinedBytes();
  /** The reader has nothing, and nothing waits. */
  #isWanted = false;
  #guestEnded = false;
  /** Whether the guest is still told what was written last when the stream is destroyed without an error before it was ended. */
  keepsLastWords = false;
  /** How the connection ended; null: it has not. */
  #outcome: Reason | null = null;
  readonly #linger = new Linger(() => this.#over("timeout"));
  /** Nobody but the guest has yet to do something. */
  #destroyed: ((error: Error | null) => void) | null = null;

  constructor(slabs: Slabs) {
    // The reader is given one piece at a time: what the stream itself kept would be a buffer for each segment.
    super({ allowHalfOpen: true, readableHighWaterMark: 0 });
    this.#lane = new Lane(slabs);
    // The guest may break it off before anybody has it, who could listen.
    this.on("error", () => undefined);
  }

  /** How the connection ended; null while it has not. */
  get outcome(): Reason | null {
    return this.#outcome;
  }

  /** Ends it at once, whatever it waits for. */
  breakOff(): void {
    this.destroy();
    this.#over("reset");
  }

  /** From now on it is broken off when the guest takes nothing of what is left for it for some time. */
  linger(): void {
    if (this.#outcome === null) this.#linger.begin();
  }

  // As a stream.

  override _read(): void {
    const bytes = this.#waiting.take();
    if (bytes === null) this.#isWanted = true;
    else this.#handOn(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#written(this.#send(chunk), callback);
  }

  override _writev(chunks: readonly { chunk: unknown }[], callback: () => void): void {
    let takesMore = true;
    for (const { chunk } of chunks) takesMore = this.#send(chunk as Buffer);
    this.#written(takesMore, callback);
  }

  override _final(callback: () => void): void {
    if (this.#outcome === null) this.connection?.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const isLast = this.writableFinished || (this.keepsLastWords && this.writableLength === 0);
    if (this.#outcome === null && error === null && isLast) {
      if (!this.writableFinished) this.connection?.end();
      // A FIN is on its way behind what was written, which is kept until the guest has it. What it still says, nobody reads.
      this.#destroyed = callback;
      this.#linger.begin();
      this.#consume(this.#waiting.length);
      this.#waiting.clear();
      return;
    }
    this.#over("reset");
    callback(error);
  }

  #handOn(bytes: Buffer): void {
    this.#isWanted = false;
    this.#consume(bytes.length);
    this.push(bytes);
    if (this.#guestEnded && this.#waiting.length === 0) this.push(null);
  }

  #consume(bytes: number): void {
    if (this.#outcome === null && bytes > 0) this.connection?.consume(bytes);
  }

  #send(chunk: Buffer): boolean {
    let takesMore = true as boolean;
    const push = (piece: Piece): void => {
      this.#unread.push(piece);
      takesMore = this.connection?.write(bytesOf(piece)) !== false;
    };
    this.#lane.copy(chunk, undefined, push, this.connection?.maxSegment);
    return takesMore;
  }

  #written(takesMore: boolean, callback: () => void): void {
    if (takesMore || this.#outcome !== null) callback();
    else this.#resume = callback;
  }

  /** Breaks it off, unless it has ended by itself. */
  #over(how: Reason, byItself = false): void {
    if (this.#outcome === null && !byItself) this.connection?.reset();
    this.#outcome ??= how;
    this.#unread = [];
    this.#linger.end();
    const destroyed = this.#destroyed;
    this.#destroyed = null;
    destroyed?.(how === "closed" ? null : brokenOff(how));
    this.#drained();
  }

  #drained(): void {
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  // Of the guest.

  /** Is to be told what comes of the connection. */
  readonly handler: TcpHandler = {
    established: () => this.established(),
    data: (bytes) => {
      if (this.flow !== null) this.flow.sent += bytes.length;
      if (this.destroyed) this.#consume(bytes.length);
      else if (this.#isWanted) this.#handOn(Buffer.from(bytes));
      else this.#waiting.add(bytes);
    },
    ended: () => {
      this.#guestEnded = true;
      if (this.#waiting.length === 0) this.push(null);
    },
    drained: () => this.#drained(),
    acknowledged: (bytes) => this.#acknowledged(bytes),
    closed: (how) => this.connectionClosed(how),
  };

  protected established(): void {
    // Nobody waits for that but who has begun the connection.
  }

  protected connectionClosed(how: Reason): void {
    this.#over(how, true);
    if (how !== "closed") this.destroy(brokenOff(how));
  }

  #acknowledged(bytes: number): void {
    this.#linger.progress();
    if (this.flow !== null) this.flow.received += bytes;
    let left = bytes;
    for (let piece = this.#unread[0]; piece !== undefined && left > 0; piece = this.#unread[0]) {
      const length = piece.end - piece.start;
      if (length > left) {
        this.#unread[0] = { ...piece, start: piece.start + left };
        return;
      }
      left -= length;
      this.#lane.release(piece);
      this.#unread.shift();
    }
  }
}

/** As a socket would tell it. */
export function brokenOff(how: "reset" | "timeout"): NodeJS.ErrnoException {
  const [code, message] =
    how === "reset"
      ? ["ECONNRESET", "the guest has reset the connection"]
      : ["ETIMEDOUT", "the guest does not answer any more"];
  return Object.assign(new Error(message), { code });
}
