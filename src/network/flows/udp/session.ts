import { createSocket, type Socket } from "node:dgram";
import type { Family, IpAddress } from "../../../host/ip/address.ts";
import { type IcmpErrors, type Quote, quoteOf } from "../../ip/icmp-errors.ts";
import type { IpPacket } from "../../ip/packet.ts";
import type { Flow } from "../flow-log.ts";
import { bytesOf, Lane, type Piece, type Slabs } from "../slabs.ts";

/** What waits because the host's socket takes no more, at most; more is dropped. */
const maxWaiting = 64;
const maxWaitingBytes = 512 * 1024;
/** Before the socket is connected, which takes no longer than the cable has its turn: that brings no more frames. */
const maxEarly = 128;

export interface SessionOptions {
  /** Whom the guest speaks to, as it names it. */
  readonly remote: { readonly address: IpAddress; readonly port: number };
  readonly guestPort: number;
  /** Where that really is: on the host itself for the gateway. */
  readonly host: string;
  readonly hostFamily: Family;
  readonly slabs: Slabs;
  readonly icmp: IcmpErrors;
  /** Passes a reply on to the guest; false: there was no room. */
  readonly reply: (payload: Buffer) => boolean;
  /** The socket cannot be used at all. */
  readonly failed: (error: NodeJS.ErrnoException) => void;
}

/** Datagrams between one port of the guest and one outside: a connected socket of the host, so that nobody else's replies come in. */
export class UdpSession {
  readonly remote: SessionOptions["remote"];
  readonly guestPort: number;
  flow: Flow | null = null;
  lastUsedMs = performance.now();
  readonly #options: SessionOptions;
  readonly #lane: Lane;
  readonly #socket: Socket;
  /** Before the socket is connected. */
  #early: Piece[][] | null = [];
  #earlyBytes = 0;
  /** Of the datagram that came last: an error of the host comes when its buffer has something else. */
  #quote: Quote | null = null;
  #isClosed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#lane = new Lane(options.slabs);
    this.remote = options.remote;
    this.guestPort = options.guestPort;
    this.#socket = createSocket(options.hostFamily === 4 ? "udp4" : "udp6");
    this.#socket.on("message", (payload) => this.#reply(payload));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
    // It is called with an error as well: a broadcast address, or no route.
    const connected = (cause?: unknown): void => {
      if (cause instanceof Error) this.#notConnected(cause);
      else this.#connected();
    };
    this.#socket.connect(options.remote.port, options.host, connected);
  }

  /** Passes on a datagram of the guest: `packet.buffer[payloadAt, end)`. */
  send(packet: IpPacket, payloadAt: number, end: number): void {
    const length = end - payloadAt;
    if (this.#isClosed || !this.#hasRoom(length)) return;
    this.#quote = quoteOf(packet);
    if (this.flow !== null) this.flow.sent += length;
    const pieces: Piece[] = [];
    this.#lane.copy(packet.buffer.subarray(payloadAt, end), undefined, (piece) => pieces.push(piece));
    if (this.#early === null) this.#sendNow(pieces, length);
    else {
      this.#earlyBytes += length;
      this.#early.push(pieces);
    }
  }

  /** What the kernel has taken does not wait, though its callback has yet to come: a burst is passed on however many there are. */
  #hasRoom(length: number): boolean {
    if (this.#early !== null)
      return this.#early.length < maxEarly && this.#earlyBytes + length <= maxWaitingBytes;
    const socket = this.#socket;
    return socket.getSendQueueCount() < maxWaiting && socket.getSendQueueSize() + length <= maxWaitingBytes;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const pieces of this.#early ?? []) pieces.forEach((piece) => this.#lane.release(piece));
    this.#early = null;
    this.#socket.close();
  }

  #connected(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const pieces of early)
      this.#sendNow(
        pieces,
        pieces.reduce((sum, piece) => sum + piece.end - piece.start, 0),
      );
  }

  /** The guest is told, and whatever the reason, this socket is of no use: to send by it would throw. */
  #notConnected(error: NodeJS.ErrnoException): void {
    this.#failed(error);
    if (!this.#isClosed) this.#options.failed(error);
  }

  #sendNow(pieces: Piece[], length: number): void {
    if (this.#isClosed) return;
    this.#socket.send(pieces.length === 0 ? [Buffer.alloc(0)] : pieces.map(bytesOf), (error) => {
      for (const piece of pieces) this.#lane.release(piece);
      if (error !== null) this.#failed(error, length);
    });
  }

  #reply(payload: Buffer): void {
    if (this.#isClosed) return;
    this.lastUsedMs = performance.now();
    if (this.#options.reply(payload) && this.flow !== null) this.flow.received += payload.length;
  }

  /** Tells the guest what the host was told. */
  #failed(error: NodeJS.ErrnoException, length = 0): void {
    if (this.#isClosed) return;
    const { icmp, failed } = this.#options;
    const quote = this.#quote;
    switch (error.code ?? "") {
      case "ECONNREFUSED":
        if (quote !== null) icmp.unreachable(quote, "port");
        return;
      case "EHOSTUNREACH":
      case "ENETUNREACH":
      case "EADDRNOTAVAIL":
      case "EINVAL":
        if (quote !== null) icmp.unreachable(quote, "host");
        break;
      case "EMSGSIZE":
        if (quote !== null) icmp.packetTooBig(quote, smallerMtu(length, quote.family));
        return;
      case "EPERM":
      case "EACCES":
        // The host's own firewall.
        if (quote !== null) icmp.unreachable(quote, "prohibited");
        return;
    }
    // A socket that was never connected, or that broke.
    failed(error);
  }
}

/** Sizes of paths that are known to exist (RFC 1191, 7.1): the next below one that did not fit. */
function smallerMtu(payloadBytes: number, family: 4 | 6): number {
  const size = payloadBytes + 8 + (family === 4 ? 20 : 40);
  const least = family === 4 ? 576 : 1280;
  return [32_000, 17_914, 9000, 8166, 4352, 2002, 1500, 1492, 1280].find((mtu) => mtu < size) ?? least;
}
