import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import type { Inspector } from "../../../src/network/http/inspector.ts";
import { type Http1End, relayHttp1 } from "../../../src/network/http1/relay/relay-http1.ts";

/** A port in front of a server; what comes there is relayed to it. */
export class RelayedServer implements AsyncDisposable {
  /** How connections ended, in that order. */
  readonly ends: Promise<Http1End>[] = [];
  readonly #front: Server;

  private constructor(front: Server) {
    this.#front = front;
  }

  static async start(port: number, inspector: Inspector): Promise<RelayedServer> {
    const front = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    const relayed = new RelayedServer(front);
    front.on("connection", (guest) => {
      const server = createConnection({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
      server.pause();
      guest.on("error", () => undefined);
      server.on("error", () => guest.resetAndDestroy());
      const { promise, resolve } = Promise.withResolvers<Http1End>();
      relayed.ends.push(promise);
      server.once("connect", () => {
        server.removeAllListeners("error");
        void relayHttp1({ guest, server, inspector }).then(resolve);
      });
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    return relayed;
  }

  get port(): number {
    return portOf(this.#front);
  }

  /** Those that are relayed go on. */
  stopListening(): void {
    this.#front.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#front.close();
    await Promise.all(this.ends);
  }
}

/** A client that says bytes, and keeps what it is told. */
export class RawClient {
  readonly socket: Socket;
  /** `reset`: broken off. */
  readonly over: Promise<"closed" | "reset">;
  readonly #heard: Buffer[] = [];
  #bytes = 0;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    const { promise, resolve } = Promise.withResolvers<"closed" | "reset">();
    this.over = promise;
    this.socket = createConnection({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    this.socket.on("data", (bytes) => {
      this.#heard.push(bytes);
      this.#bytes += bytes.length;
      this.#wake();
    });
    this.socket.on("error", () => resolve("reset"));
    this.socket.on("close", () => resolve("closed"));
    for (const event of ["end", "close"] as const)
      this.socket.on(event, () => {
        this.#hasEnded = true;
        this.#wake();
      });
  }

  get bytes(): number {
    return this.#bytes;
  }

  get heard(): string {
    return Buffer.concat(this.#heard).toString("latin1");
  }

  say(text: string | Buffer): this {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
    return this;
  }

  end(): this {
    this.socket.end();
    return this;
  }

  /** Waits until what was heard is like this. @throws when the other end has ended before */
  async hears(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.heard)) {
      if (this.#hasEnded) throw new Error(`not heard: ${String(pattern)} in ${JSON.stringify(this.heard)}`);
      await this.hearsMore();
    }
    return this.heard;
  }

  /** All that was heard, when the other end has ended. */
  async all(): Promise<string> {
    while (!this.#hasEnded) await this.hearsMore();
    return this.heard;
  }

  /** Waits for something, or the end. */
  async hearsMore(): Promise<void> {
    if (this.#hasEnded) throw new Error("it has ended");
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Listens on loopback. */
export async function listening<S extends Server>(server: S): Promise<S> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it does not listen");
  return address.port;
}
