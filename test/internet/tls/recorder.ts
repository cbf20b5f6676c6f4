import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Identity } from "./bad-certificates.ts";

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/** What one client has said inside of TLS, to the byte. */
export interface Recorded {
  readonly serverName: string;
  readonly bytes: Buffer;
}

/**
 * A server of TLS at one address, or at all, that reads nothing into what it is told: it keeps every byte, and says `200` for each empty
 * line that it finds. So it sees what a server with another idea of HTTP would see.
 */
export class Recorder implements AsyncDisposable {
  readonly port: number;
  /** Handshakes that have failed too. */
  connections = 0;
  readonly #server: Server;
  readonly #open = new Set<TLSSocket>();
  #recorded: { serverName: string; parts: Buffer[] }[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", () => this.connections++);
    server.on("secureConnection", (socket) => this.#record(socket));
  }

  /** @param port 0: one that is free */
  static async start(identity: Identity, port = 0, address = "::"): Promise<Recorder> {
    const server = createServer({ ...identity, ALPNProtocols: ["http/1.1"] });
    server.listen(port, address);
    await once(server, "listening");
    return new Recorder(server);
  }

  #record(socket: TLSSocket): void {
    const { servername } = socket as TLSSocket & { servername?: string | false };
    const record = { serverName: typeof servername === "string" ? servername : "", parts: [] as Buffer[] };
    this.#recorded.push(record);
    this.#open.add(socket);
    let last = "";
    socket.on("data", (chunk: Buffer) => {
      record.parts.push(chunk);
      const text = last + chunk.toString("latin1");
      const heads = text.split("\r\n\r\n").length - 1;
      last = text.slice(text.length - 3);
      if (socket.writable) socket.write(answer.repeat(heads));
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.#open.delete(socket));
  }

  /** What was said since the last call, when all who said it have gone. */
  async take(): Promise<Recorded[]> {
    await Promise.all([...this.#open].map((socket) => once(socket, "close")));
    return this.#recorded
      .splice(0)
      .map(({ serverName, parts }) => ({ serverName, bytes: Buffer.concat(parts) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
