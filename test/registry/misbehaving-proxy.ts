import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** One request as it came by. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** @returns true when it has answered, so that the registry is not asked */
export type Misbehaviour = (request: Seen, response: ServerResponse, forward: Forward) => boolean;
/** Forwards to the registry and cuts the connection after so many bytes of the body. */
export type Forward = (cutAfter?: number) => void;

/** A reverse proxy on loopback that does to requests what a test wants, in front of the real registry. */
export class MisbehavingProxy implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  misbehave: Misbehaviour = () => false;

  private constructor(server: Server) {
    this.#server = server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** @param upstream `host:port` of a registry that speaks plain HTTP */
  static async start(upstream: string): Promise<MisbehavingProxy> {
    const server = createServer();
    const proxy = new MisbehavingProxy(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const seen = { method: request.method ?? "", path: request.url ?? "", headers: request.headers };
      proxy.seen.push(seen);
      const forward: Forward = (cutAfter) => forwardTo(upstream, request, response, cutAfter);
      if (!proxy.misbehave(seen, response, forward)) forward();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function forwardTo(
  upstream: string,
  request: IncomingMessage,
  response: ServerResponse,
  cutAfter = Infinity,
): void {
  const sent = httpRequest(`http://${upstream}${request.url ?? ""}`, {
    method: request.method,
    headers: { ...request.headers, host: upstream },
    agent: false,
  });
  sent.on("error", () => response.destroy());
  sent.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    let passed = 0;
    answer.on("data", (chunk: Buffer) => {
      const piece = chunk.subarray(0, Math.max(0, cutAfter - passed));
      passed += piece.length;
      response.write(piece, () => {
        if (passed < cutAfter) return;
        answer.destroy();
        response.destroy();
      });
    });
    answer.on("end", () => response.end());
    answer.on("error", () => response.destroy());
  });
  sent.end();
}
