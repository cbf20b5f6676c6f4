import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A proxy that makes tunnels for everybody who asks by CONNECT, to that port of this machine whatever the host is, and keeps what it is asked. */
export class ConnectProxy implements AsyncDisposable {
  readonly port: number;
  readonly heads: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => void this.#serve(socket).catch(() => socket.destroy()));
  }

  static async start(): Promise<ConnectProxy> {
    const server = createServer();
    server.listen(0, "::");
    await once(server, "listening");
    return new ConnectProxy(server);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async #serve(socket: Socket): Promise<void> {
    this.#keep(socket);
    let head = "";
    while (!head.includes("\r\n\r\n")) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      head += chunk.toString("latin1");
    }
    socket.pause();
    this.heads.push(head);
    const port = Number(/^CONNECT \S+:(\d+) /.exec(head)?.[1]);
    const server = connect(port, "127.0.0.1");
    this.#keep(server);
    await once(server, "connect");
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    socket.pipe(server).pipe(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
