import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { InvalidConfigError, IoError, RuntimeError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { SshConnection, type ConnectionOptions } from "./connection.ts";
import { sshLimits } from "./limits.ts";
import { stdioSocket } from "./stdio-socket.ts";

/** A Unix socket that a server listens on. */
export interface SshSocketAddress {
  readonly path: string;
}

/** A port that a server listens on. */
export interface SshPortAddress {
  /** By default 127.0.0.1, which only this computer reaches. */
  readonly host?: string;
  /** 0: any that is free. */
  readonly port: number;
}

type Address = SshSocketAddress | SshPortAddress;

/** Whoever asks must be heard by the kernel, and we answer soon. */
const backlog = 64;
/** Between two packets that ask a silent TCP client whether it is there, ms. */
const tcpKeepAliveMs = 30_000;

/**
 * An SSH server for one sandbox; `sandbox.ssh().prepareServer()` makes it. It runs in this process and ends with it; nothing of it is in the
 * guest but the commands that its clients start.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("server-example").image("localhost/base").replace().create();
 * await using server = await sandbox.ssh().prepareServer();
 * const { port } = await server.listen({ port: 0 });
 * console.log(`ssh -p ${port} root@127.0.0.1`);
 * ```
 */
export class SshServer implements AsyncDisposable {
  readonly #options: Omit<ConnectionOptions, "peers">;
  readonly #connections = new Set<SshConnection>();
  readonly #servers = new Set<Server>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | null = null;
  #watching: Promise<void> | null = null;
  readonly #over = Promise.withResolvers<void>();

  /** @internal */
  constructor(options: Omit<ConnectionOptions, "peers">) {
    this.#options = options;
  }

  /** Resolves when the server is closed, be it because its sandbox has ended. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /**
   * Serves one client on this process's standard input and output, as a ProxyCommand of OpenSSH does it. Resolves when it has gone.
   *
   * @throws RuntimeError when the server is closed
   */
  async serveConnection(): Promise<void> {
    await this.serve(stdioSocket(process.stdin, process.stdout));
  }

  /**
   * Serves one client on a connection that is there already. Resolves when it has gone, and all that it had started has ended.
   *
   * @throws RuntimeError when the server is closed
   */
  async serve(socket: Duplex): Promise<void> {
    this.#refuseClosed();
    await this.#accept(socket, "UNKNOWN 65535 UNKNOWN 65535")?.over;
  }

  /**
   * Listens on a port of this computer, or on a Unix socket, which only this user can connect to.
   *
   * @returns where it listens; the port is the one that was chosen
   * @throws IoError when that cannot be had; InvalidConfigError; RuntimeError when the server is closed
   */
  async listen(address: SshSocketAddress): Promise<SshSocketAddress>;
  async listen(address: SshPortAddress): Promise<Required<SshPortAddress>>;
  async listen(address: Address): Promise<SshSocketAddress | Required<SshPortAddress>> {
    this.#refuseClosed();
    checkAddress(address);
    const server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs },
      (socket) => {
        this.#accept(socket, peersOf(socket));
      },
    );
    const name = "path" in address ? address.path : `${address.host ?? "127.0.0.1"}:${address.port}`;
    try {
      bind(server, address);
      await once(server, "listening");
    } catch (error) {
      throw errorCode(error) === "EADDRINUSE"
        ? new IoError(`somebody listens on ${name} already`, {
            cause: error,
            hint: "Choose another one; port 0 is any that is free. A socket that a killed process has left can be removed.",
          })
        : ioError(`listen on ${name}`, error);
    }
    server.on("error", () => undefined);
    this.#servers.add(server);
    // It may have been closed meanwhile.
    if (this.#closed !== null) server.close();
    if ("path" in address) return { path: address.path };
    const { address: host, port } = server.address() as AddressInfo;
    return { host, port };
  }

  /** Takes no more clients, and ends those that are there with their commands. Resolves when they have ended. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const server of this.#servers) server.close();
    for (const connection of this.#connections) connection.end();
    await Promise.all([...this.#connections].map((connection) => connection.over));
    this.#over.resolve();
  }

  #accept(socket: Duplex, peers: string): SshConnection | null {
    const strangers = [...this.#connections].filter((connection) => !connection.isKnown).length;
    if (
      this.#closed !== null ||
      this.#connections.size >= sshLimits.connections ||
      strangers >= sshLimits.strangers
    ) {
      socket.on("error", () => undefined).destroy();
      return null;
    }
    const connection = new SshConnection(socket, { ...this.#options, peers });
    this.#connections.add(connection);
    void connection.over.then(() => this.#connections.delete(connection));
    this.#watching ??= this.#options.guest.ended(this.#closing.signal).then(
      () => this.close(),
      () => undefined,
    );
    return connection;
  }

  #refuseClosed(): void {
    if (this.#closed === null) return;
    throw new RuntimeError("this SSH server is closed", {
      hint: "Prepare another one: sandbox.ssh().prepareServer()",
    });
  }
}

function checkAddress(address: Address): void {
  const isPath = "path" in address && typeof address.path === "string" && address.path !== "";
  const isPort =
    "port" in address && Number.isInteger(address.port) && address.port >= 0 && address.port <= 65_535;
  if (isPath !== isPort) return;
  throw new InvalidConfigError("an address is either a path or a port", {
    hint: "Such as { port: 2222 }, { host: '127.0.0.1', port: 0 } or { path: '/run/user/1000/demo.sock' }",
  });
}

function bind(server: Server, address: Address): void {
  if (!("path" in address)) {
    server.listen({ host: address.host ?? "127.0.0.1", port: address.port, backlog });
    return;
  }
  // The socket is made in this call, and whoever may write to it may connect.
  const before = process.umask(0o177);
  try {
    server.listen({ path: address.path, backlog });
  } finally {
    process.umask(before);
  }
}

/** As in SSH_CONNECTION: the client's address and port, and the server's. */
function peersOf(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || localAddress === undefined) return "UNKNOWN 65535 UNKNOWN 65535";
  return `${remoteAddress} ${remotePort ?? 0} ${localAddress} ${localPort ?? 0}`;
}
