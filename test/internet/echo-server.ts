import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { Server } from "node:net";
import type { Certificates } from "../registry/certificates.ts";

export interface EchoVisit {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bodyBytes: number;
}

/** Answers with the body that it is sent, as that comes: HTTP/1 and HTTP/2 over TLS, and HTTP/1 without it. */
export class EchoServer implements AsyncDisposable {
  readonly #servers: readonly Server[];
  #visits: EchoVisit[] = [];

  private constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  /** At every address. */
  static async start(
    { certFile, keyFile }: Certificates,
    port: number,
    plainPort: number,
  ): Promise<EchoServer> {
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    const secure = createSecureServer({ cert, key, allowHTTP1: true });
    const plain = createPlain();
    const echo = new EchoServer([secure, plain]);
    for (const server of [secure, plain])
      server.on("request", (request: IncomingMessage, response: ServerResponse) =>
        echo.#answer(request, response),
      );
    secure.listen(port, "::");
    plain.listen(plainPort, "::");
    await Promise.all([once(secure, "listening"), once(plain, "listening")]);
    return echo;
  }

  take(): EchoVisit[] {
    const visits = this.#visits;
    this.#visits = [];
    return visits;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = "", url = "", headers } = request;
    let bodyBytes = 0;
    response.writeHead(200, {
      "content-type": "text/plain",
      "x-key-was": String(headers["x-key"] ?? "none"),
    });
    request.on("data", (bytes: Buffer) => {
      bodyBytes += bytes.length;
      if (!response.write(bytes)) {
        request.pause();
        response.once("drain", () => request.resume());
      }
    });
    request.on("error", () => undefined);
    request.on("end", () => {
      this.#visits.push({ method, url, headers, bodyBytes });
      response.end("\n");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#servers.map(async (server) => {
        if ("closeAllConnections" in server)
          (server as { closeAllConnections(): void }).closeAllConnections();
        server.close();
        await once(server, "close");
      }),
    );
  }
}
