import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { PublishedPort } from "../../../config/network/network-type.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import { bindError } from "./bind-error.ts";

/** A published port as it is: with the port that was chosen. */
export interface BoundPort extends PublishedPort {
  readonly hostPort: number;
}

/** Connections that wait for a guest that does not run yet; more are reset. */
const maxEarly = 64;
const nothing = Buffer.alloc(0);
/** Connections that wait for this program, as far as the host's kernel lets so many wait (net.core.somaxconn); more have to try again. */
const backlog = 4096;
/** Of datagrams of the guest, what waits for the host's socket at most; more is dropped. */
const maxWaiting = 64;
const maxWaitingBytes = 512 * 1024;

/** Who takes what comes to the ports. */
export interface PortReceiver {
  /** @param socket paused, its ends independent of each other */
  connection(listener: Listener, socket: Socket): void;
  datagram(listener: UdpListener, payload: Buffer, peer: RemoteInfo): void;
  /** The port is not published any more: what came by it ends. */
  closed(listener: Listener): void;
}

/** A port that is listened on. */
export abstract class Listener {
  /** Replaced when the same port of the host is published for something else. */
  port: BoundPort;
  receiver: PortReceiver | null = null;
  #isClosed = false;

  /** Made by {@link listen}. */
  constructor(port: BoundPort) {
    this.port = port;
  }

  /** Nobody takes anything yet. */
  serve(receiver: PortReceiver): void {
    this.receiver = receiver;
  }

  /** Gives its place to another. What has come by it goes on. */
  abstract release(): void;

  /**
   * Listens again.
   *
   * @throws IoError when that cannot be done; the message names the port
   */
  abstract retake(warn: (message: string) => void): Promise<void>;

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.receiver?.closed(this);
    await this.closeSocket();
  }

  protected abstract closeSocket(): Promise<void>;
}

class TcpListener extends Listener {
  #early: Socket[] = [];
  /** Who came when all places were taken: one is free for them, perhaps, when those who have them were asked. */
  #late: Socket[] = [];
  #server: Server;

  constructor(port: BoundPort, server: Server) {
    super(port);
    this.#server = server;
    this.#accept();
  }

  override serve(receiver: PortReceiver): void {
    super.serve(receiver);
    for (const socket of this.#early.splice(0)) if (!socket.destroyed) receiver.connection(this, socket);
  }

  override release(): void {
    this.#server.close();
  }

  override async retake(warn: (message: string) => void): Promise<void> {
    this.#server = await listeningServer(this.port, warn);
    this.#accept();
  }

  protected override async closeSocket(): Promise<void> {
    for (const socket of [...this.#early.splice(0), ...this.#late.splice(0)]) socket.resetAndDestroy();
    // What is open goes its own way: `closed` of the receiver has ended it.
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(): void {
    this.#server.on("connection", (socket: Socket) => {
      // Until somebody takes it, an error of its is nobody's.
      socket.on("error", () => undefined);
      if (this.receiver !== null) this.receiver.connection(this, socket);
      else if (this.#early.length < maxEarly) this.#early.push(socket);
      else if (this.#late.push(socket) === 1) this.#askEarly();
    });
  }

  /** A socket that nobody reads does not notice that its peer has reset it. To write nothing tells. */
  #askEarly(): void {
    for (const socket of this.#early) socket.write(nothing);
    setImmediate(() => {
      this.#early = this.#early.filter((socket) => !socket.destroyed);
      for (const socket of this.#late.splice(0)) {
        if (this.receiver !== null) this.receiver.connection(this, socket);
        else if (this.#early.length < maxEarly) this.#early.push(socket);
        else socket.resetAndDestroy();
      }
    });
  }
}

export class UdpListener extends Listener {
  /** null: its place was given to another. */
  #socket: UdpSocket | null = null;

  constructor(port: BoundPort, socket: UdpSocket) {
    super(port);
    this.#take(socket);
  }

  override release(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  override async retake(warn: (message: string) => void): Promise<void> {
    this.#take(await boundSocket(this.port, warn));
  }

  /** @returns false for what was dropped: too much waits */
  send(payload: Buffer, peer: { readonly address: string; readonly port: number }): boolean {
    const socket = this.#socket;
    if (socket === null) return false;
    if (socket.getSendQueueCount() >= maxWaiting) return false;
    if (socket.getSendQueueSize() + payload.length > maxWaitingBytes) return false;
    // The copy: the datagram lies in the cable's buffer.
    socket.send(Buffer.from(payload), peer.port, peer.address, () => {
      // A peer that cannot be reached any more loses it, as any datagram may be lost.
    });
    return true;
  }

  protected override async closeSocket(): Promise<void> {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    const closed = once(socket, "close");
    socket.close();
    await closed;
  }

  #take(socket: UdpSocket): void {
    this.#socket = socket;
    socket.on("message", (payload, peer) => {
      // Who sends from port 0 wants no reply (RFC 768), and Node sends none there.
      if (peer.port !== 0) this.receiver?.datagram(this, payload, peer);
    });
  }
}

/**
 * Listens on a port of the host.
 *
 * @throws IoError when that cannot be done; the message names the port
 */
export async function listen(port: PublishedPort, warn: (message: string) => void): Promise<Listener> {
  if (port.protocol === "tcp") {
    const server = await listeningServer(port, warn);
    return new TcpListener({ ...port, hostPort: (server.address() as { port: number }).port }, server);
  }
  const socket = await boundSocket(port, warn);
  return new UdpListener({ ...port, hostPort: socket.address().port }, socket);
}

async function listeningServer(port: PublishedPort, warn: (message: string) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true });
  // `::` is not 0.0.0.0 too: each address is published by itself.
  server.listen({ host: port.hostBind, port: port.hostPort, ipv6Only: true, exclusive: true, backlog });
  try {
    await once(server, "listening");
  } catch (error) {
    throw bindError(port, error);
  }
  // Of accepting: too many open files, for one.
  server.on("error", (error) => warn(`published port ${port.hostPort}: ${error.message}`));
  return server;
}

async function boundSocket(port: PublishedPort, warn: (message: string) => void): Promise<UdpSocket> {
  const family = IpAddress.parse(port.hostBind)?.family ?? 4;
  const socket = createSocket({
    type: family === 4 ? "udp4" : "udp6",
    ipv6Only: family === 6,
    // They are addresses already. With Node's own look-up a datagram would be in the socket's queue, and counted there, only later.
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  const listening = once(socket, "listening");
  socket.bind({ address: port.hostBind, port: port.hostPort, exclusive: true });
  try {
    await listening;
  } catch (error) {
    socket.close();
    throw bindError(port, error);
  }
  socket.on("error", (error) => warn(`published port ${port.hostPort}/udp: ${error.message}`));
  return socket;
}
