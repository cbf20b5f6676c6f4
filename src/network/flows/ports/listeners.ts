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
export class Listener {
  /** Replaced when the same port of the host is published for something else. */
  port: BoundPort;
  receiver: PortReceiver | null = null;
  readonly #close: () => Promise<unknown>;
  #isClosed = false;

  /** Made by {@link listen}. */
  constructor(port: BoundPort, close: () => Promise<unknown>) {
    this.port = port;
    this.#close = close;
  }

  /** Nobody takes anything yet. */
  serve(receiver: PortReceiver): void {
    this.receiver = receiver;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.receiver?.closed(this);
    await this.#close();
  }
}

class TcpListener extends Listener {
  readonly #early: Socket[] = [];

  constructor(port: BoundPort, server: Server) {
    super(port, async () => {
      for (const socket of this.#early.splice(0)) socket.resetAndDestroy();
      // What is open goes its own way: `closed` of the receiver has ended it.
      server.close();
      await once(server, "close");
    });
    server.on("connection", (socket: Socket) => {
      // Until somebody takes it, an error of its is nobody's.
      socket.on("error", () => undefined);
      if (this.receiver !== null) this.receiver.connection(this, socket);
      else if (this.#early.length < maxEarly) this.#early.push(socket);
      else socket.resetAndDestroy();
    });
  }

  override serve(receiver: PortReceiver): void {
    super.serve(receiver);
    for (const socket of this.#early.splice(0)) if (!socket.destroyed) receiver.connection(this, socket);
  }
}

export class UdpListener extends Listener {
  readonly #socket: UdpSocket;

  constructor(port: BoundPort, socket: UdpSocket) {
    super(port, async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    });
    this.#socket = socket;
    socket.on("message", (payload, peer) => {
      // Who sends from port 0 wants no reply (RFC 768), and Node sends none there.
      if (peer.port !== 0) this.receiver?.datagram(this, payload, peer);
    });
  }

  /** @returns false for what was dropped: too much waits */
  send(payload: Buffer, peer: { readonly address: string; readonly port: number }): boolean {
    const socket = this.#socket;
    if (socket.getSendQueueCount() >= maxWaiting) return false;
    if (socket.getSendQueueSize() + payload.length > maxWaitingBytes) return false;
    // The copy: the datagram lies in the cable's buffer.
    socket.send(Buffer.from(payload), peer.port, peer.address, () => {
      // A peer that cannot be reached any more loses it, as any datagram may be lost.
    });
    return true;
  }
}

/**
 * Listens on a port of the host.
 *
 * @throws IoError when that cannot be done; the message names the port
 */
export async function listen(port: PublishedPort, warn: (message: string) => void): Promise<Listener> {
  return port.protocol === "tcp" ? listenTcp(port, warn) : listenUdp(port, warn);
}

async function listenTcp(port: PublishedPort, warn: (message: string) => void): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true });
  // `::` is not 0.0.0.0 too: each address is published by itself.
  server.listen({ host: port.hostBind, port: port.hostPort, ipv6Only: true, exclusive: true });
  try {
    await once(server, "listening");
  } catch (error) {
    throw bindError(port, error);
  }
  // Of accepting: too many open files, for one.
  server.on("error", (error) => warn(`published port ${port.hostPort}: ${error.message}`));
  const { port: hostPort } = server.address() as { port: number };
  return new TcpListener({ ...port, hostPort }, server);
}

async function listenUdp(port: PublishedPort, warn: (message: string) => void): Promise<Listener> {
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
  return new UdpListener({ ...port, hostPort: socket.address().port }, socket);
}
