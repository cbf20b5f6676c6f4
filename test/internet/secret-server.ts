import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { Certificates } from "../registry/certificates.ts";

export interface SecretVisit {
  readonly host: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** An HTTPS server that keeps what it is sent, and tells none of it. */
export class SecretServer implements AsyncDisposable {
  readonly #server: Server;
  #visits: SecretVisit[] = [];
  /** What requests are answered with, in turn; 200 after them. */
  readonly statuses: number[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** At every address. */
  static async start({ certFile, keyFile }: Certificates, port = 8443): Promise<SecretServer> {
    const [cert, key] = [await readFile(certFile), await readFile(keyFile)];
    // A connection stays for as long as its client wants it, however slow the host is.
    const server = createServer({ cert, key, keepAliveTimeout: 0 });
    const secrets = new SecretServer(server);
    server.on("request", (request: IncomingMessage, response) => {
      const { headers, url = "" } = request;
      secrets.#visits.push({ host: headers.host ?? "", path: url, headers });
      request.resume();
      response.writeHead(secrets.statuses.shift() ?? 200);
      response.end("done\n");
    });
    server.listen(port, "::");
    await once(server, "listening");
    return secrets;
  }

  take(): SecretVisit[] {
    const visits = this.#visits;
    this.#visits = [];
    return visits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
