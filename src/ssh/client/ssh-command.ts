import type { ClientChannel } from "ssh2";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { RuntimeError, UnsupportedOperationError } from "../../errors/index.ts";
import { codeOfSignal, signalName } from "../server/signals.ts";

/** What happens to a command of an SSH client. The last one is `exited`. */
export type SshCommandEvent =
  | { readonly kind: "stdout"; readonly data: Buffer }
  | { readonly kind: "stderr"; readonly data: Buffer }
  | { readonly kind: "exited"; readonly code: number };

/** What is told of a connection that a command is on. */
export interface CommandConnection {
  /** The next command that is closed goes on. */
  leaveNext(): void;
  /** Aborted when the connection is over. */
  readonly gone: AbortSignal;
}

/** A command that an SSH client has started. Its events are read once; leaving a loop over them early ends the command. */
export class SshCommand implements AsyncIterable<SshCommandEvent> {
  readonly #channel: ClientChannel;
  readonly #connection: CommandConnection;
  readonly #events: SshCommandEvent[] = [];
  #news = Promise.withResolvers<void>();
  #code: number | null = null;
  #closed = false;
  readonly #ended = new AbortController();

  /** @internal */
  constructor(channel: ClientChannel, connection: CommandConnection) {
    this.#channel = channel;
    this.#connection = connection;
    channel.on("exit", (code: number | null, signal?: string) => {
      this.#code = code ?? codeOfSignal(signal ?? "TERM");
    });
    for (const [stream, kind] of [
      [channel, "stdout"],
      [channel.stderr, "stderr"],
    ] as const)
      stream.on("data", (data: Buffer) => {
        this.#events.push({ kind, data });
        // Until it is taken.
        channel.pause();
        channel.stderr.pause();
        this.#tell();
      });
    // Of the two outputs either may be read to its end first.
    const ends = [channel, channel.stderr].map(
      (stream) => new Promise<void>((resolve) => stream.once("close", () => resolve())),
    );
    void Promise.all(ends).then(() => this.#over());
    channel.on("error", () => this.#over());
    const { gone } = connection;
    gone.addEventListener("abort", () => this.#over(), { once: true });
    if (gone.aborted) this.#over();
  }

  /** Its standard input. */
  takeStdin(): { write(data: Uint8Array | string): Promise<void>; close(): Promise<void> } {
    const channel = this.#channel;
    return {
      write: async (data) => {
        if (!channel.writable || this.#closed) return;
        const written = new Promise<void>((resolve) => {
          channel.write(data, () => resolve());
        });
        await unlessAborted(written, this.#ended.signal).catch(() => undefined);
      },
      close: async () => {
        channel.end();
      },
    };
  }

  /** Sends a signal, by its Linux number, to the command's process group. @throws UnsupportedOperationError for one that SSH has no name for */
  async signal(number: number): Promise<void> {
    const name = signalName(number);
    if (name === null) {
      throw new UnsupportedOperationError(`SSH has no name for signal ${number}`, {
        hint: "It knows those of RFC 4254, 6.10: HUP, INT, QUIT, KILL, USR1, USR2, TERM and some more.",
      });
    }
    if (!this.#closed) this.#channel.signal(name);
  }

  async kill(): Promise<void> {
    await this.signal(9);
  }

  async resize(rows: number, cols: number): Promise<void> {
    if (!this.#closed) this.#channel.setWindow(rows, cols, 0, 0);
  }

  /** Leaves it running without us. */
  async release(): Promise<void> {
    this.#connection.leaveNext();
    this.abandon();
  }

  /** Ends it. */
  abandon(): void {
    this.#channel.close();
  }

  /** @throws RuntimeError when the connection ends before the command; OperationTimeoutError and the signal's reason: it goes on */
  async wait(options: WaitOptions = {}): Promise<{ readonly code: number }> {
    const ended = async (): Promise<{ readonly code: number }> => {
      for await (const event of this) if (event.kind === "exited") return event;
      throw new RuntimeError("the command's end was received already");
    };
    return await Operation.run("wait for an SSH command", options, (operation) => operation.wait(ended()));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SshCommandEvent, void, undefined> {
    try {
      for (;;) {
        const event = this.#events.shift();
        if (event !== undefined) yield event;
        else if (this.#closed) break;
        else {
          this.#channel.resume();
          this.#channel.stderr.resume();
          await this.#news.promise;
        }
      }
      if (this.#code === null) {
        throw new RuntimeError("the SSH connection ended before the command", {
          hint: "It was closed, nothing passed on it for longer than its inactivity timeout, or the sandbox has ended.",
        });
      }
      yield { kind: "exited", code: this.#code };
    } finally {
      if (!this.#closed) this.abandon();
    }
  }

  #over(): void {
    this.#closed = true;
    this.#ended.abort();
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
