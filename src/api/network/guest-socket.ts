import { Duplex } from "node:stream";
import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { JoinedBytes } from "../../host/system/joined-bytes.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";

/**
 * A TCP connection to a port of the guest, as a `Duplex` with what HTTP clients ask of a socket besides. `end()` is a FIN, and what the
 * guest sends after it still arrives; `destroy()` is a reset. Where nobody reads, the guest has to wait once 512 KiB are on the way.
 */
export class GuestSocket extends Duplex {
  /** Of the guest. */
  readonly remotePort: number;
  readonly connecting = false;
  readonly #borrowed: BorrowedConnection;
  readonly #stream: Stream;
  readonly #connected = Promise.withResolvers<void>();
  readonly #handler: StreamHandler = {
    message: (message) => this.#receive(message),
    data: (_kind, payload) => this.#take(payload),
    ended: () => {
      this.#guestEnded = true;
      if (this.#waiting.length === 0) this.push(null);
    },
    // What it does not want it does not get; it says why when the connection ends.
    stopSending: () => undefined,
    lost: (error) => this.#fail(error),
  };
  #isConnected = false;
  /** Keeps the program alive. */
  #release: (() => void) | null;
  /** Of the guest, until the reader wants it. */
  readonly #waiting = new JoinedBytes();
  /** The reader has nothing, and nothing waits. */
  #isWanted = false;
  #guestEnded = false;
  #idle: NodeJS.Timeout | null = null;

  /**
   * @internal
   * @param borrowed is given back when the connection is over
   * @param allowHalfOpen as of `net.Socket`: false ends this side when the guest has ended its own
   */
  constructor(borrowed: BorrowedConnection, port: number, allowHalfOpen: boolean) {
    // The reader is given one piece at a time: what the stream itself kept would be a buffer for each thing that the guest says.
    super({ allowHalfOpen, autoDestroy: true, readableHighWaterMark: 0 });
    this.remotePort = port;
    this.#borrowed = borrowed;
    this.#connected.promise.catch(() => undefined);
    try {
      this.#stream = borrowed.connection.subscribe({ type: "ConnectGuest", port }, this.#handler);
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
    this.#release = borrowed.connection.hold();
  }

  /** @internal Resolves when the guest has accepted it. @throws RuntimeError when it did not; the signal's reason */
  async connected(signal: AbortSignal): Promise<this> {
    try {
      await unlessAborted(this.#connected.promise, signal);
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** As of `net.Socket`: `timeout` is emitted when nothing was sent or received for so many ms; 0: never. */
  setTimeout(ms: number, callback?: () => void): this {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = ms > 0 && !this.destroyed ? setTimeout(() => this.emit("timeout"), ms).unref() : null;
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }

  /** Does nothing: whoever is at the other end lives and dies with the sandbox. */
  setKeepAlive(): this {
    return this;
  }

  /** Does nothing: what is written is sent at once. */
  setNoDelay(): this {
    return this;
  }

  /** Keeps the program alive again. */
  ref(): this {
    if (!this.destroyed) this.#release ??= this.#borrowed.connection.hold();
    return this;
  }

  /** Lets the program end although it is open. */
  unref(): this {
    this.#release?.();
    this.#release = null;
    return this;
  }

  override _read(): void {
    const bytes = this.#waiting.take();
    if (bytes === null) this.#isWanted = true;
    else this.#handOn(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#active();
    const rest = this.#send(chunk);
    if (rest.length === 0) done();
    else this.#sendLater(rest).then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    const inOrder = error === null && this.writableFinished && this.readableEnded;
    // What was sent last may still be on its way to the guest: then the guest's end of it is waited for.
    if (!inOrder) {
      this.#stream.abort(new RuntimeError("the connection was closed"));
      this.#giveBack();
    } else if (this.#stream.over) this.#giveBack();
    done(error);
  }

  #receive(message: Message): void {
    switch (message.type) {
      case "GuestConnected":
        this.#isConnected = true;
        this.#connected.resolve();
        return;
      case "GuestDisconnected":
        if (this.destroyed) this.#giveBack();
        return;
      case "Failure":
        this.#fail(decodeFailure(message));
        return;
      default:
        this.#fail(new ProtocolError(`the supervisor sent ${message.type} on a connection to the guest`));
    }
  }

  #take(payload: Buffer): void {
    this.#active();
    if (this.#isWanted) this.#handOn(Buffer.from(payload));
    else this.#waiting.add(payload);
  }

  #handOn(bytes: Buffer): void {
    this.#isWanted = false;
    this.#stream.consume(bytes.length);
    this.push(bytes);
    if (this.#guestEnded && this.#waiting.length === 0) this.push(null);
  }

  #fail(error: Error): void {
    this.#connected.reject(error);
    if (this.destroyed) this.#giveBack();
    // Whoever waits for the connection is told so; nobody else has it yet.
    else this.destroy(this.#isConnected ? error : undefined);
  }

  /** @returns what there was no credit for */
  #send(chunk: Buffer): Buffer {
    let sent = 0;
    while (sent < chunk.length && this.#stream.credit > 0) {
      const count = Math.min(this.#stream.credit, MAX_DATA_PAYLOAD, chunk.length - sent);
      this.#stream.sendData(FrameKind.data, chunk.subarray(sent, sent + count));
      sent += count;
    }
    return chunk.subarray(sent);
  }

  async #sendLater(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0; rest = this.#send(rest)) {
      await this.#stream.writable();
      this.#active();
    }
  }

  #active(): void {
    this.#idle?.refresh();
  }

  #giveBack(): void {
    this.unref();
    this.#borrowed[Symbol.dispose]();
  }
}

/** A TCP connection to a port of the guest: what `sandbox.connect()` gives. */
export type GuestConnection = GuestSocket;
