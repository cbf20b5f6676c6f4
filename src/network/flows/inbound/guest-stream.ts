import { RuntimeError } from "../../../errors/index.ts";
import type { Slabs } from "../slabs.ts";
import { brokenOff, ConnectionStream } from "../tcp/connection-stream.ts";
import { dialGuest, type DialGuestOptions } from "./dial-guest.ts";

export interface GuestStreamOptions extends DialGuestOptions {
  readonly slabs: Slabs;
  /** Has all of them, from the beginning on until they are closed. */
  readonly streams: Set<GuestStream>;
}

/** A connection to a port of the guest that no port of the host stands for. */
export class GuestStream extends ConnectionStream {
  readonly #connected: (error: Error | null) => void;
  #isEstablished = false;

  private constructor(slabs: Slabs, connected: (error: Error | null) => void) {
    super(slabs);
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
    options.streams.add(stream);
    stream.once("close", () => options.streams.delete(stream));
    const dialer = {
      ...stream.handler,
      dialing: (connection: NonNullable<typeof stream.connection>) => {
        stream.connection = connection;
      },
    };
    if (!dialGuest(options, guestPort, dialer))
      reject(new RuntimeError("too many connections to this port of the guest"));
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
    this.breakOff();
  }

  protected override established(): void {
    this.#isEstablished = true;
    this.#connected(null);
  }

  protected override connectionClosed(how: "closed" | "reset" | "timeout"): void {
    if (!this.#isEstablished) this.#connected(refusal(how));
    super.connectionClosed(how);
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
