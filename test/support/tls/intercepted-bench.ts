import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from "node:tls";
import type { NetworkConfig } from "../../../src/config/network/network-type.ts";
import type { Interception } from "../../../src/network/interception/interception.ts";
import type { TestNetwork } from "../network/guest-peer.ts";
import {
  type GuestAuthority,
  guestAuthority,
  guestTls,
  interceptedNetwork,
  type InterceptedOptions,
} from "./intercepted-network.ts";
import { TestAuthority, type TestCertificate } from "./test-authority.ts";

/** Servers, whom the host trusts and whom the guest trusts: for tests that intercept. */
export class InterceptedBench implements AsyncDisposable {
  readonly authority: GuestAuthority = guestAuthority();
  readonly root: TestAuthority;
  /** PEM of the root that the host trusts. */
  readonly hostRoot: string;
  /** Of `good.test`. */
  readonly good: TestCertificate;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(root: TestAuthority, hostRoot: string, good: TestCertificate) {
    this.root = root;
    this.hostRoot = hostRoot;
    this.good = good;
  }

  static async make(): Promise<InterceptedBench> {
    const root = await TestAuthority.make();
    return new InterceptedBench(root, await root.pem, await root.certificate("good.test"));
  }

  async listen(server: Server): Promise<number> {
    this.#servers.push(server);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  /** A server that says back what it is told, to `good.test` unless another certificate is given. */
  async echo(options: TlsOptions = {}, connected?: (socket: TLSSocket) => void): Promise<number> {
    const server = createTlsServer({ ...this.good, allowHalfOpen: true, ...options }, (socket) => {
      socket.on("error", () => undefined);
      connected?.(socket);
      socket.pipe(socket);
    });
    server.on("tlsClientError", () => undefined);
    return await this.listen(server);
  }

  /** A server without TLS. */
  async plain(connected: (socket: Socket) => void): Promise<number> {
    return await this.listen(
      createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => undefined);
        connected(socket);
      }),
    );
  }

  /** A proxy that takes CONNECT, and leads to a port of this host whatever it was asked for. `heads` gets what it was sent. */
  async proxy(to: number, heads: string[], status = "200 Connection established"): Promise<number> {
    const server = createHttpServer();
    server.on("connect", (request, socket: Socket, head: Buffer) => {
      const fields = request.rawHeaders
        .map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`))
        .join("");
      heads.push(`${request.method ?? ""} ${request.url ?? ""}\r\n${fields}`);
      socket.on("error", () => undefined);
      if (!status.startsWith("2")) {
        socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\nnope`);
        return;
      }
      socket.write(`HTTP/1.1 ${status}\r\n\r\n`);
      const server = connect({ host: "127.0.0.1", port: to });
      server.on("error", () => socket.destroy());
      socket.on("close", () => server.destroy());
      server.write(head);
      socket.pipe(server).pipe(socket);
    });
    return await this.listen(server);
  }

  /** A gateway that intercepts what goes to these ports. */
  async intercepting(
    ports: readonly number[],
    tls: Partial<NonNullable<InterceptedOptions["tls"]>> = {},
    over: Partial<Interception> = {},
    config: Partial<NetworkConfig> = {},
  ): Promise<TestNetwork> {
    const { authority, hostRoot } = this;
    return await interceptedNetwork(
      {
        authority,
        hostRoot,
        tls: { interceptedPorts: ports, ...tls },
        over,
      },
      config,
    );
  }

  /** What a client of the guest comes to: its error's code, or `null` when it trusts the connection. */
  async trusts(network: TestNetwork, port: number, servername = "good.test"): Promise<string | null> {
    const client = guestTls(network.guest, port, { servername, ca: this.authority.pem });
    const failure = await new Promise<string | null>((resolve) => {
      client.once("secureConnect", () => resolve(null));
      client.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    client.destroy();
    return failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.root[Symbol.asyncDispose]();
  }
}
