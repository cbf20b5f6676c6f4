import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Identity } from "./bad-certificates.ts";

/** A request as the server has understood it. */
export interface Understood {
  readonly version: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** All fields, names and values in turn. */
  readonly fields: readonly string[];
  /** As far as it has come: the first chunks of it, 4 KiB or a little more. */
  body: string;
}

/**
 * Node's own server for HTTP/2 and HTTP/1.1, at every address: `/count` says how much came, and its SHA-256; `/events` sends one event at
 * once and one more when somebody asks for `/go`; `/away?URL` redirects; `/early` answers before it reads a body, and `/refused` before one
 * is sent that waits for 100; `/trailers` sends one back as another; an upgrade is agreed to, and what comes then is sent back.
 */
export class ModernServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #went = new EventEmitter();
  #requests: Understood[] = [];

  private constructor(server: Http2SecureServer) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    const keep = (socket: Socket): void => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    };
    // One that never says a word of TLS would be waited for, too.
    server.on("connection", keep);
    server.on("secureConnection", keep);
    server.on("request", (request, response) => {
      this.#answer(request, response).catch(() => response.stream.destroy());
    });
    server.on("checkContinue", (request: Http2ServerRequest, response: Http2ServerResponse) => {
      if (request.url === "/refused") {
        this.#note(request);
        response.writeHead(417).end();
        return;
      }
      response.writeContinue();
      this.#answer(request, response).catch(() => response.stream.destroy());
    });
    server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#note(request);
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.write(head);
      socket.pipe(socket);
    });
  }

  static async start(identity: Identity, port: number): Promise<ModernServer> {
    const server = createSecureServer({ ...identity, allowHTTP1: true });
    server.listen(port, "::");
    await once(server, "listening");
    return new ModernServer(server);
  }

  /** Requests since the last call. */
  take(): Understood[] {
    return this.#requests.splice(0);
  }

  #note(request: Http2ServerRequest | IncomingMessage): Understood {
    const { httpVersion, method = "", headers, url = "", rawHeaders } = request;
    const host = headers[":authority"] ?? headers.host;
    const noted = {
      version: httpVersion,
      method,
      host: String(host),
      path: url,
      fields: rawHeaders,
      body: "",
    };
    this.#requests.push(noted);
    return noted;
  }

  async #answer(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const noted = this.#note(request);
    const url = new URL(request.url, "https://here");
    if (url.pathname === "/events") {
      response.setHeader("content-type", "text/event-stream");
      const gone = once(this.#went, "go");
      response.write("data: one\n\n");
      await gone;
      response.end("data: two\n\n");
    } else if (url.pathname === "/away") {
      response.writeHead(302, { location: url.search.slice(1) });
      response.end();
    } else if (url.pathname === "/early") response.writeHead(413).end();
    else if (url.pathname === "/trailers") {
      await once(request.resume(), "end");
      response.setHeader("trailer", "x-told");
      response.write("body\n");
      response.addTrailers({ "x-told": `told ${String(request.trailers["x-last"])}` });
      response.end();
    } else {
      const hash = createHash("sha256");
      let count = 0;
      for await (const chunk of request) {
        count += (chunk as Buffer).length;
        hash.update(chunk as Buffer);
        if (noted.body.length < 4096) noted.body += (chunk as Buffer).toString("latin1");
      }
      if (url.pathname === "/go") this.#went.emit("go");
      response.end(`${count} ${hash.digest("hex")} by ${request.httpVersion}\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
