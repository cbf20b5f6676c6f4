import { Duplex } from "node:stream";
import type { GuestSocket } from "./guest-socket.ts";

/**
 * A connection that is still being made, for those who want one at once, as `http.Agent` does: it counts what it is given, not what it
 * waits for. What is written waits for the connection, and so does who reads.
 */
export class LateSocket extends Duplex {
  connecting = true;
  readonly #connect: (signal: AbortSignal) => Promise<GuestSocket>;
  readonly #given = new AbortController();
  #socket: GuestSocket | null = null;
  #isHeld = true;
  #timeoutMs = 0;
  #idle: NodeJS.Timeout | null = null;

  /** @param connect is called at once; its signal says that nobody wants the connection any more */
  constructor(connect: (signal: AbortSignal) => Promise<GuestSocket>) {
    super({ allowHalfOpen: false });
    this.#connect = connect;
  }

  /** As of `net.Socket`. */
  setTimeout(ms: number, callback?: () => void): this {
    this.#timeoutMs = ms;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = ms > 0 && !this.destroyed ? setTimeout(() => this.emit("timeout"), ms).unref() : null;
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }

  /** As of `net.Socket`. */
  get timeout(): number {
    return this.#timeoutMs;
  }

  /** Does nothing, as of {@link GuestSocket}. */
  setKeepAlive(): this {
    return this;
  }

  /** Does nothing, as of {@link GuestSocket}. */
  setNoDelay(): this {
    return this;
  }

  ref(): this {
    this.#isHeld = true;
    this.#socket?.ref();
    return this;
  }

  unref(): this {
    this.#isHeld = false;
    this.#socket?.unref();
    return this;
  }

  override destroy(error?: Error): this {
    // Its own end waits for the connection to be made, or not to be.
    this.#given.abort();
    return super.destroy(error);
  }

  override _construct(done: (error?: Error | null) => void): void {
    this.#connect(this.#given.signal).then(
      (socket) => {
        this.#join(socket);
        done();
        if (!this.destroyed) this.emit("connect");
      },
      (error: unknown) => {
        this.connecting = false;
        // To be given up is no error.
        if (this.#given.signal.aborted) done();
        else done(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #join(socket: GuestSocket): void {
    this.connecting = false;
    this.#socket = socket;
    if (!this.#isHeld) socket.unref();
    socket.on("data", (chunk: Buffer) => {
      this.#idle?.refresh();
      if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => {
      // Without an end it was broken off.
      if (!socket.readableEnded) this.destroy();
    });
    socket.pause();
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#idle?.refresh();
    this.#socket?.write(chunk, encoding, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    // It may have ended together with the guest's side.
    if (this.#socket?.writableEnded !== false) done();
    else this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#socket?.destroy();
    done(error);
  }
}
