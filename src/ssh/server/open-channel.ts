import type { ServerChannel } from "ssh2";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { GuestCommand } from "../guest.ts";
import type { Transport } from "./transport.ts";

/** How a command has ended. */
export interface CommandEnd {
  readonly code: number;
  /** Linux's number of the signal that ended it. */
  readonly signal: number | null;
}

/** What the package keeps of a channel and does not say in its types. */
interface ChannelState {
  readonly incoming: { readonly window: number };
  readonly outgoing: { readonly packetSize: number };
  _chunk: unknown;
  _chunkcb: unknown;
  _chunkErr: unknown;
  _chunkcbErr: unknown;
}

/** One channel of a connection, with what the package leaves to its user: a client that does not read, and one that is gone. */
export class OpenChannel {
  readonly channel: ServerChannel;
  readonly #transport: Transport;
  readonly #closed = new AbortController();

  /** @param gone the connection is over */
  constructor(channel: ServerChannel, transport: Transport, gone: AbortSignal) {
    this.channel = channel;
    this.#transport = transport;
    channel.on("error", () => this.#over());
    // The package has an event for that, too; but only when all that had come was read.
    const close = channel.close.bind(channel);
    channel.close = (...args: unknown[]) => {
      this.#over();
      (close as (...args: unknown[]) => void)(...args);
    };
    const onGone = (): void => this.#over();
    if (gone.aborted) this.#over();
    else gone.addEventListener("abort", onGone, { once: true });
    this.closed.addEventListener("abort", () => gone.removeEventListener("abort", onGone), { once: true });
  }

  /** Aborted when the client has closed it, or is gone. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  #over(): void {
    this.#closed.abort();
  }

  /** Whether the client keeps to what it was told of its channel: it sends no more than it may, and takes packets. */
  get isFair(): boolean {
    const { incoming, outgoing } = this.channel as unknown as ChannelState;
    return incoming.window >= 0 && outgoing.packetSize > 0;
  }

  /** Resolves when the bytes are on their way, or the client is gone. One at a time. */
  async write(data: Buffer, to: "stdout" | "stderr"): Promise<void> {
    await this.#transport.room();
    if (this.closed.aborted) return;
    this.#transport.touch();
    const stream = to === "stderr" ? this.channel.stderr : this.channel;
    const written = new Promise<void>((resolve) => {
      stream.write(data, () => resolve());
    });
    await unlessAborted(written, this.closed).catch(() => undefined);
    // The package would send again what once had to wait, as soon as the other of the two outputs has to.
    const state = this.channel as unknown as ChannelState;
    state._chunk = state._chunkcb = state._chunkErr = state._chunkcbErr = undefined;
  }

  /** Passes on what the client sends, as it is taken, and its end. Resolves after that. */
  async feed(taker: ReturnType<GuestCommand["takeStdin"]>): Promise<void> {
    const { channel } = this;
    const ended = Promise.withResolvers<void>();
    channel.on("data", (chunk: Buffer) => {
      channel.pause();
      const written = taker?.write(chunk) ?? Promise.resolve();
      void written.catch(() => undefined).finally(() => channel.resume());
    });
    channel.on("end", () => ended.resolve());
    await ended.promise;
    await taker?.close().catch(() => undefined);
  }

  /** Tells how the command has ended, by its code or the name of a signal, and ends the channel. */
  exit(how: number | string): void {
    if (this.closed.aborted) return;
    if (typeof how === "number") this.channel.exit(how);
    else this.channel.exit(how, false, "");
    this.channel.stderr.end();
    this.channel.end();
  }
}
