import { once } from "node:events";
import { Agent, request as requestHttp1, type IncomingHttpHeaders } from "node:http";
import { connect, type ClientHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { Version } from "./hooked-relay.ts";

export interface Exchange {
  /** Where the body goes. */
  readonly body: Writable;
  readonly answered: Promise<{
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly stream: Readable;
  }>;
  /** The client goes away. */
  abort(): void;
}

export interface Told {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A client of either version of HTTP, with few connections. */
export class AskingClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  readonly #session: ClientHttp2Session | null;

  constructor(version: Version, port: number) {
    this.#port = port;
    this.#session = version === "2" ? connect(`http://127.0.0.1:${port}`) : null;
    this.#session?.on("error", () => undefined);
  }

  begin(method: string, path: string, headers: Readonly<Record<string, string>> = {}): Exchange {
    const session = this.#session;
    if (session === null) {
      const options = { host: "127.0.0.1", port: this.#port, method, path, headers, agent: this.#agent };
      const request = requestHttp1(options);
      request.on("error", () => undefined);
      const answered = Promise.race([
        once(request, "response"),
        once(request, "close").then(() => Promise.reject(new Error("broken off"))),
      ]).then(([response]: unknown[]) => {
        const stream = response as Readable & { statusCode: number; headers: IncomingHttpHeaders };
        return { status: stream.statusCode, headers: stream.headers, stream };
      });
      answered.catch(() => undefined);
      const abort = (): void => {
        const socket = request.socket as Socket;
        // One that is being shut down is not reset any more.
        if (socket.writable) socket.resetAndDestroy();
        else socket.destroy();
      };
      return { body: request, answered, abort };
    }
    const stream = session.request(
      { ":method": method, ":path": path, ...headers },
      { endStream: method === "GET" || method === "HEAD" },
    );
    stream.on("error", () => undefined);
    const answered = Promise.race([
      once(stream, "response"),
      once(stream, "close").then(() => Promise.reject(new Error("broken off"))),
    ]).then(([given]: unknown[]) => {
      const head = given as IncomingHttpHeaders & { ":status": number };
      return { status: head[":status"], headers: head, stream };
    });
    answered.catch(() => undefined);
    return { body: stream, answered, abort: () => stream.destroy() };
  }

  async ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body = "",
  ): Promise<Told> {
    const exchange = this.begin(method, path, headers);
    exchange.body.end(body === "" ? undefined : body);
    const { status, headers: given, stream } = await exchange.answered;
    return { status, headers: given, body: await textOf(stream) };
  }

  close(): void {
    this.#agent.destroy();
    this.#session?.destroy();
  }
}

/** All of a body. @throws when it is broken off */
export async function textOf(stream: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  if ("rstCode" in stream && stream.rstCode !== 0) throw new Error("broken off");
  return Buffer.concat(pieces).toString();
}
