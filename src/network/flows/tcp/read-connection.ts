import type { Duplex } from "node:stream";
import type { Dialed, ReadableConnection, Ending } from "../../interception/connection.ts";
import type { Interception } from "../../interception/interception.ts";
import type * as Readers from "../../interception/readers.ts";
import type { NamedHello } from "../../interception/read-tls.ts";
import type { TcpConnection, TcpHandler } from "../../tcp/connection.ts";
import type { Flow } from "../flow-log.ts";
import type { Slabs } from "../slabs.ts";
import { ConnectionStream } from "./connection-stream.ts";
import { reasonOf, type Dialed as DialedSocket } from "./dial.ts";
import { HostStream } from "./host-stream.ts";
import type { Reading } from "./reading.ts";

export interface ReadConnectionOptions {
  readonly slabs: Slabs;
  readonly flow: Flow;
  readonly reading: Reading;
  readonly interception: Interception;
  /** @returns gives it up */
  readonly dial: (done: (dialed: DialedSocket) => void) => () => void;
  readonly names: readonly string[];
  readonly namesOf: ReadableConnection["namesOf"];
  /** Called once, when nothing is left of it. */
  readonly over: (reason: Ending) => void;
}

/** A connection of the guest that is read on its way, instead of spliced. */
export class ReadConnection {
  readonly handler: TcpHandler;
  readonly #options: ReadConnectionOptions;
  readonly #stream: ConnectionStream;

  constructor(options: ReadConnectionOptions) {
    this.#options = options;
    this.#stream = new ConnectionStream(options.slabs);
    this.#stream.flow = options.flow;
    this.handler = this.#stream.handler;
  }

  set connection(connection: TcpConnection) {
    this.#stream.connection = connection;
  }

  /** What it has to do with the outside is given up, too. */
  abort(): void {
    this.#stream.breakOff();
  }

  interceptTls(hello: NamedHello): void {
    this.#run((readers) => readers.interceptTls(this.#readable(), hello, () => this.#dial()));
  }

  readPlain(server: Duplex, isHostAllowed: ((host: string) => boolean) | null): void {
    this.#run((readers) => readers.readPlain(this.#readable(), server, { isHostAllowed }));
  }

  /** A tunnel, and what is in it. */
  readTunnel(server: Duplex): void {
    this.#run((readers) => readers.readTunnel(this.#readable(), server));
  }

  /** Passes it on as it is. */
  passOn(server: Duplex): void {
    this.#run((readers) => readers.passOn(this.#readable(), this.#stream, server, null));
  }

  #run(read: (readers: typeof Readers) => Promise<Ending>): void {
    const stream = this.#stream;
    const { reading, over } = this.#options;
    const ended = (reason: Ending): void => {
      // Why it was given up says more than how the guest took it.
      const how = reason === "closed" ? (stream.outcome ?? "closed") : reason;
      if (!stream.closed) stream.breakOff();
      over(how);
    };
    reading
      .load()
      .then(read)
      .then(ended, (error: unknown) => {
        reading.failed(error);
        ended("reset");
      });
  }

  #readable(): ReadableConnection {
    const { flow, interception, reading, names, namesOf } = this.#options;
    return {
      guest: this.#stream,
      address: flow.subject.address.toString(),
      port: flow.subject.port ?? 0,
      names,
      namesOf,
      interception,
      event: reading.event,
      keepLastWords: (isKept) => {
        this.#stream.keepsLastWords = isKept;
      },
      linger: () => this.#stream.linger(),
    };
  }

  #dial(): Promise<Dialed> {
    return new Promise((resolve) => {
      const giveUp = this.#options.dial((dialed) => {
        this.#stream.off("close", gone);
        if ("failure" in dialed) resolve({ failure: reasonOf(dialed.failure) });
        else resolve({ socket: streamOf(dialed) });
      });
      const gone = (): void => {
        giveUp();
        resolve({ failure: "unreachable" });
      };
      if (this.#stream.destroyed) gone();
      else this.#stream.once("close", gone);
    });
  }
}

function streamOf({ socket, early = Buffer.alloc(0) }: Exclude<DialedSocket, { failure: unknown }>): Duplex {
  // Node's own TLS takes the bytes of a socket from the kernel: nothing of it may have been read.
  return early.length === 0 ? socket : new HostStream(socket, early);
}
