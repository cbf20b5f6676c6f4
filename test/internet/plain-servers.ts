import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { allAddresses, ports } from "./places.ts";

/** A connection as its server knows it. */
export interface Heard {
  readonly at: string;
  readonly port: number;
  readonly socket: Socket;
  readonly received: Buffer[];
  /** How it ended; null: it is open. */
  ended: "finished" | "reset" | null;
}

/** Echo servers for TCP and UDP at every address, one that greets first, and any others that a test wants. */
export class PlainServers implements AsyncDisposable {
  readonly connections: Heard[] = [];
  /** Datagrams that came to the echo port. */
  readonly datagrams: { readonly at: string; readonly content: Buffer }[] = [];
  readonly #tcp: Server[] = [];
  readonly #udp: UdpSocket[] = [];

  static async start(): Promise<PlainServers> {
    const servers = new PlainServers();
    await servers.listen(ports.echo, (socket) => socket.pipe(socket));
    await servers.listen(ports.greeting, (socket) => {
      socket.write("220 greetings\r\n");
      socket.once("data", (line: Buffer) => socket.end(`250 ${line.toString()}`));
    });
    for (const address of allAddresses) {
      const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
      socket.on("message", (content, { port, address: peer }) => {
        servers.datagrams.push({ at: address, content });
        socket.send(content, port, peer, () => undefined);
      });
      socket.bind(ports.echo, address);
      await once(socket, "listening");
      servers.#udp.push(socket);
    }
    return servers;
  }

  /** @param port 0: one that is free. @returns the port */
  async listen(port: number, serve: (socket: Socket) => void): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const { address, port: at } = socket.address() as AddressInfo;
      const heard: Heard = {
        at: address.replace(/^::ffff:/, ""),
        port: at,
        socket,
        received: [],
        ended: null,
      };
      this.connections.push(heard);
      socket.on("data", (chunk: Buffer) => heard.received.push(chunk));
      socket.on("error", () => (heard.ended = "reset"));
      socket.on("close", () => (heard.ended ??= "finished"));
      serve(socket);
    });
    server.listen(port, "::", 4096);
    await once(server, "listening");
    this.#tcp.push(server);
    return (server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#udp) socket.close();
    for (const { socket } of this.connections) socket.destroy();
    for (const server of this.#tcp) {
      server.close();
      await once(server, "close");
    }
  }
}
