import { Duplex } from "node:stream";
import { RuntimeError } from "../../../errors/index.ts";
import type { TcpConnection } from "../../tcp/connection.ts";
import { bytesOf, Lane, type Piece, type Slabs } from "../slabs.ts";
import { Linger } from "../tcp/linger.ts";
import { dialGuest, type DialGuestOptions, type GuestDialer } from "./dial-guest.ts";

export interface GuestStreamOptions extends DialGuestOptions {
  readonly slabs: Slabs;
  /** Has all of them, from the beginning on until they are closed. */
  readonly streams: Set<GuestStream>;
}

/**
 * A connection to a port of the guest that no port of the host stands for. Its ends are independent of each other: after `end()` what the
 * guest still says is read.
 */
export class GuestStream extends Duplex {
  readonly #lane: Lane;
  readonly #connected: (error: Error | null) => void;
  #connection: TcpConnection | null = null;
  #unread: Piece[] = [];
  #resume: (() => void) | null = null;
  /** Given to the reader, and not to be used up before it wants more. */
  #owed = 0;
  #isEstablished = false;
  #isOver = false;
  readonly #linger = new Linger(() => this.#connectionOver("timeout"));
  /** Nobody but the guest has yet to do something. */
  #destroyed: ((error: Error | null) => void) | null = null;

  private constructor(slabs: Slabs, connected: (error: Error | null) => void) {
    super({ allowHalfOpen: true });
    this.#lane = new Lane(slabs);
    this.#connected = connected;
    // The guest may break it off before anybody has it, who could listen.
    this.on("error", () => undefined);
  }

  /**
   * Resolves when the guest has accepted it.
   *
   * @throws RuntimeError when it refuses, or does not answer
   */
  static async connect(
    options: GuestStreamOptions,
    guestPort: number,
    signal: AbortSignal,
  ): Promise<GuestStream> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const stream = new GuestStream(options.slabs, (error) => {
      if (error === null) resolve(undefined);
      else reject(error);
    });
    options.streams.add(stream);
    stream.once("close", () => options.streams.delete(stream));
    if (!dialGuest(options, guestPort, stream.#ofGuest()))
      stream.#give(new RuntimeError("too many connections to this port of the guest"));
    const abort = (): void => {
      reject(signal.reason as Error);
      stream.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
      // Its `close` may have passed.
      if (stream.destroyed)
        throw stream.errored ?? (signal.reason as Error | undefined) ?? brokenOff("reset");
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Ends it at once, whatever it waits for. */
  abort(error: Error): void {
    this.#connected(error);
    this.destroy();
    this.#connectionOver("reset");
  }

  // As a stream.

  override _read(): void {
    if (this.#owed === 0) return;
    const bytes = this.#owed;
    this.#owed = 0;
    if (!this.#isOver) this.#connection?.consume(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    let takesMore = true as boolean;
    const push = (piece: Piece): void => {
      this.#unread.push(piece);
      takesMore = this.#connection?.write(bytesOf(piece)) !== false;
    };
    this.#lane.copy(chunk, undefined, push, this.#connection?.maxSegment);
    if (takesMore || this.#isOver) callback();
    else this.#resume = callback;
  }

  override _final(callback: () => void): void {
    if (!this.#isOver) this.#connection?.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.#isOver && this.writableFinished && this.readableEnded) {
      // A FIN is on its way behind what was written, which is kept until the guest has it.
      this.#destroyed = callback;
      this.#linger.begin();
      return;
    }
    this.#connectionOver("reset");
    callback(error);
  }

  /** Breaks it off, unless it has ended by itself. */
  #connectionOver(how: "closed" | "reset" | "timeout", byItself = false): void {
    if (!this.#isOver && !byItself) this.#connection?.reset();
    this.#isOver = true;
    this.#unread = [];
    this.#linger.end();
    const destroyed = this.#destroyed;
    this.#destroyed = null;
    destroyed?.(how === "closed" ? null : brokenOff(how));
  }

  #ofGuest(): GuestDialer {
    return {
      dialing: (connection) => {
        this.#connection = connection;
      },
      established: () => {
        this.#isEstablished = true;
        this.#connected(null);
      },
      data: (bytes) => {
        if (this.push(Buffer.from(bytes))) this.#connection?.consume(bytes.length);
        else this.#owed += bytes.length;
      },
      ended: () => {
        this.push(null);
      },
      drained: () => this.#drained(),
      acknowledged: (bytes) => this.#acknowledged(bytes),
      closed: (how) => this.#closed(how),
    };
  }

  #drained(): void {
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  #acknowledged(bytes: number): void {
    this.#linger.progress();
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

  #closed(how: "closed" | "reset" | "timeout"): void {
    this.#connectionOver(how, true);
    if (!this.#isEstablished) this.#give(refusal(how));
    else if (how !== "closed") this.destroy(brokenOff(how));
    this.#drained();
  }

  #give(error: Error): void {
    this.#isOver = true;
    this.#connected(error);
  }
}

function refusal(how: "closed" | "reset" | "timeout"): RuntimeError {
  return how === "timeout"
    ? new RuntimeError("the guest does not answer", {
        hint: "Does its kernel still run, and is its interface up?",
      })
    : new RuntimeError("nothing in the guest listens on this port", {
        hint: "Start the server first, on 0.0.0.0 or on the guest's address, and wait for it with waitForPort().",
      });
}

function brokenOff(how: "reset" | "timeout"): NodeJS.ErrnoException {
  const [code, message] =
    how === "reset"
      ? ["ECONNRESET", "the guest has reset the connection"]
      : ["ETIMEDOUT", "the guest does not answer any more"];
  return Object.assign(new Error(message), { code });
}
