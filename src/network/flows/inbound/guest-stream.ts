import { Duplex } from "node:stream";
import { RuntimeError } from "../../../errors/index.ts";
import type { TcpConnection } from "../../tcp/connection.ts";
import { bytesOf, type Piece, type Slabs } from "../slabs.ts";
import { dialGuest, type DialGuestOptions, type GuestDialer } from "./dial-guest.ts";

export interface GuestStreamOptions extends DialGuestOptions {
  readonly slabs: Slabs;
}

/**
 * A connection to a port of the guest that no port of the host stands for. Its ends are independent of each other: after `end()` what the
 * guest still says is read.
 */
export class GuestStream extends Duplex {
  readonly #slabs: Slabs;
  readonly #connected: (error: Error | null) => void;
  #connection: TcpConnection | null = null;
  #unread: Piece[] = [];
  #resume: (() => void) | null = null;
  /** Given to the reader, and not to be used up before it wants more. */
  #owed = 0;
  #isEstablished = false;
  #isOver = false;

  private constructor(slabs: Slabs, connected: (error: Error | null) => void) {
    super({ allowHalfOpen: true });
    this.#slabs = slabs;
    this.#connected = connected;
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
    if (!dialGuest(options, guestPort, stream.#ofGuest()))
      stream.#give(new RuntimeError("too many connections to this port of the guest"));
    const abort = (): void => {
      reject(signal.reason as Error);
      stream.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
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
    this.#slabs.copy(chunk, undefined, (piece) => {
      this.#unread.push(piece);
      takesMore = this.#connection?.write(bytesOf(piece)) !== false;
    });
    if (takesMore || this.#isOver) callback();
    else this.#resume = callback;
  }

  override _final(callback: () => void): void {
    if (!this.#isOver) this.#connection?.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const isInOrder = this.writableFinished && this.readableEnded;
    // A FIN is on its way behind what was written, which is kept until the guest has it.
    if (!this.#isOver && !isInOrder) {
      this.#isOver = true;
      this.#connection?.reset();
    }
    callback(error);
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
    let left = bytes;
    for (let piece = this.#unread[0]; piece !== undefined && left > 0; piece = this.#unread[0]) {
      const length = piece.end - piece.start;
      if (length > left) {
        this.#unread[0] = { ...piece, start: piece.start + left };
        return;
      }
      left -= length;
      this.#slabs.release(piece);
      this.#unread.shift();
    }
  }

  #closed(how: "closed" | "reset" | "timeout"): void {
    this.#isOver = true;
    this.#unread = [];
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
