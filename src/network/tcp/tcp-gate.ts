import { IpAddress } from "../../host/ip/address.ts";
import { quoteOf, type Quote } from "../ip/icmp-errors.ts";
import type { IpPacket, IpSender } from "../ip/packet.ts";
import { takeSyn } from "./arrivals.ts";
import type { Refusal, TcpConnection, TcpHandler, TcpRequest, TcpStack } from "./connection.ts";
import { ControlBlock, dispose, type Shared, type State } from "./control-block.ts";
import { Deadlines, systemClock, type Clock } from "./deadlines.ts";
import { InitialSequence } from "./initial-sequence.ts";
import { LiveConnection } from "./live-connection.ts";
import { Peers } from "./peers.ts";
import { PendingRequest } from "./pending-request.ts";
import { emit, noPayload, type Ends } from "./segment/emit.ts";
import { flag, Segment } from "./segment/segment.ts";
import { TimeWaits } from "./time-wait.ts";
import { answerBatch, expire, transmit } from "./transmit.ts";

export interface TcpOptions {
  readonly sender: IpSender;
  /** Whether the checksum of a packet's TCP segment is right. */
  readonly isChecksumRight: (packet: IpPacket) => boolean;
  /** The guest asks for a connection. */
  readonly request: (request: TcpRequest) => void;
  /** Tells the guest by ICMP why it gets none; false when that is not possible now. Without it, and then, it is reset. */
  readonly unreachable?: (about: Quote, reason: "host" | "network") => boolean;
  readonly clock?: Clock;
  /** Connections whose handshake is not over, and requests without an answer; the oldest go first. */
  readonly maxHalfOpen?: number;
  /** Of all connections together, in bytes, each way. */
  readonly memory?: number;
  /** Calls back when the packets that came together have been handled: at the end of the tick, unless somebody knows better. */
  readonly afterBatch?: (callback: () => void) => void;
}

/** In bytes, for large MTUs and for small ones: as much as is worth having on its way. */
const bufferSizes = { large: 1 << 20, small: 1 << 18, largeFrom: 9000 };

/** RFC 6335, 6: for whoever does not say a port. */
const firstEphemeralPort = 49_152;

/** Segments with data of one connection before another one has its turn. */
const turn = 4;

/** The TCP of everybody outside, as the guest sees it: RFC 9293. */
export class TcpGate implements TcpStack {
  readonly #options: TcpOptions;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #peers = new Peers();
  readonly #timeWaits: TimeWaits;
  readonly #sequences = new InitialSequence();
  readonly #segment = new Segment();
  readonly #shared: Shared;
  readonly #live = new Map<ControlBlock, LiveConnection>();
  /** In the order in which they began. */
  readonly #halfOpen = new Set<PendingRequest | ControlBlock>();
  #touched: ControlBlock[] = [];
  readonly #afterBatch: (callback: () => void) => void;
  readonly #endBatch = (): void => this.batchEnd();
  readonly #congested = new Set<ControlBlock>();
  #nextPort = firstEphemeralPort + Math.floor(Math.random() * (65_536 - firstEphemeralPort));

  constructor(options: TcpOptions) {
    const { sender } = options;
    this.#options = options;
    this.#afterBatch = options.afterBatch ?? ((callback) => process.nextTick(callback));
    this.#clock = options.clock ?? systemClock;
    this.#deadlines = new Deadlines(this.#clock);
    this.#timeWaits = new TimeWaits(sender, this.#clock, this.#deadlines, (peer) => this.#peers.remove(peer));
    this.#shared = {
      sender,
      clock: this.#clock,
      deadlines: this.#deadlines,
      memory: { received: 0, queued: 0, limit: options.memory ?? 64 << 20 },
      touch: (block) => this.#touch(block),
      waitForDrain: (block) => void this.#congested.add(block),
      handshakeOver: (block) => void this.#halfOpen.delete(block),
      removed: (block, timeWait) => this.#removed(block, timeWait),
    };
    sender.onDrain(() => this.#drained());
  }

  /** Connections, requests and what remains of them, for tests and diagnosis. */
  get counts(): { readonly peers: number; readonly halfOpen: number; readonly timeWait: number } {
    return { peers: this.#peers.size, halfOpen: this.#halfOpen.size, timeWait: this.#timeWaits.size };
  }

  /** In bytes, what all of them hold. */
  get memory(): { readonly received: number; readonly queued: number } {
    return this.#shared.memory;
  }

  /** Takes a packet of the guest. Acknowledgments wait for {@link batchEnd}. */
  receive(packet: IpPacket): void {
    const segment = this.#segment;
    if (!segment.read(packet) || !this.#options.isChecksumRight(packet)) return;
    const peer = this.#peers.ofSegment(packet, segment);
    if (peer?.arrive(segment) === true) return;
    const isRequest = segment.has(flag.syn) && !segment.has(flag.ack) && !segment.has(flag.rst);
    if (isRequest) this.#request(packet, segment);
    else this.#refuseStray(packet, segment);
  }

  /** No more packets for the moment, comes by itself at the end of the tick: acknowledges what came, and sends what became possible. */
  batchEnd(): void {
    if (this.#touched.length === 0) return;
    const touched = this.#touched;
    this.#touched = [];
    for (const block of touched) {
      block.isTouched = false;
      answerBatch(block);
    }
  }

  connect(
    from: { readonly address: IpAddress; readonly port: number },
    guestPort: number,
    handler: TcpHandler,
  ): TcpConnection {
    const ends: Ends = {
      family: from.address.family,
      source: from.address.bytes,
      remotePort: from.port === 0 ? this.#freePort(from.address, guestPort) : from.port,
      guestPort,
    };
    const existing = this.#peers.find(ends);
    if (existing !== undefined && !this.#timeWaits.release(existing))
      throw new RangeError(
        `there is a connection from ${from.address.toString()}:${from.port} to ${guestPort}`,
      );
    return this.#begin("syn-sent", ends, handler);
  }

  close(): void {
    for (const block of this.#live.keys()) block.state = "closed";
    for (const peer of this.#halfOpen) if (peer instanceof PendingRequest) peer.isOpen = false;
    this.#deadlines.close();
    this.#timeWaits.clear();
    this.#live.clear();
    this.#halfOpen.clear();
    this.#congested.clear();
    this.#touched = [];
    this.#peers.clear();
  }

  #begin(state: State, ends: Ends, handler: TcpHandler, request?: PendingRequest): TcpConnection {
    const block = this.#blockFor(state, ends, handler);
    if (request !== undefined) takeSyn(block, request);
    const connection = new LiveConnection(block);
    this.#live.set(block, connection);
    this.#peers.add(connection);
    // The guest can make any number of these, but not of those that we ask for.
    if (request !== undefined) this.#addHalfOpen(block);
    transmit(block);
    return connection;
  }

  #blockFor(state: State, ends: Ends, handler: TcpHandler): ControlBlock {
    const { mtu } = this.#options.sender;
    const size = mtu >= bufferSizes.largeFrom ? bufferSizes.large : bufferSizes.small;
    return new ControlBlock(this.#shared, ends, {
      state,
      handler,
      initialSequence: this.#sequences.choose(ends, this.#clock.now()),
      receiveBuffer: size,
      sendBuffer: size,
      expired: expire,
    });
  }

  #addHalfOpen(peer: PendingRequest | ControlBlock): void {
    this.#halfOpen.add(peer);
    for (const oldest of this.#halfOpen) {
      if (this.#halfOpen.size <= (this.#options.maxHalfOpen ?? 1024)) return;
      if (oldest instanceof PendingRequest) this.#abandon(oldest);
      else {
        dispose(oldest, false);
        oldest.handler.closed("timeout");
      }
    }
  }

  #request(packet: IpPacket, segment: Segment): void {
    const ends: Ends = {
      family: packet.family,
      source: this.#addressOf(packet),
      remotePort: segment.destinationPort,
      guestPort: segment.sourcePort,
    };
    const request = new PendingRequest(
      {
        accept: (pending, handler) => this.#accept(pending, handler),
        refuse: (pending, how) => this.#refuse(pending, how),
        abandon: (pending) => this.#abandon(pending),
      },
      ends,
      segment,
      quoteOf(packet),
    );
    this.#peers.add(request);
    this.#addHalfOpen(request);
    this.#options.request(request);
  }

  #accept(request: PendingRequest, handler: TcpHandler): TcpConnection {
    if (!request.isOpen) {
      // The guest did not wait so long.
      queueMicrotask(() => handler.closed("reset"));
      return new LiveConnection(this.#blockFor("closed", request, handler));
    }
    this.#forget(request);
    return this.#begin("syn-received", request, handler, request);
  }

  #refuse(request: PendingRequest, how: Refusal): void {
    if (!request.isOpen) return;
    this.#forget(request);
    const { sender, unreachable } = this.#options;
    if (how === "host-unreachable" || how === "network-unreachable") {
      const reason = how === "host-unreachable" ? "host" : "network";
      if (request.quote !== null && unreachable?.(request.quote, reason) === true) return;
    }
    if (how !== "drop" && !sender.isCongested)
      emit(sender, request, flag.rst | flag.ack, 0, (request.sequence + 1) | 0, 0, noPayload);
  }

  #abandon(request: PendingRequest): void {
    this.#forget(request);
    request.tellAbandoned();
  }

  #forget(request: PendingRequest): void {
    request.isOpen = false;
    this.#halfOpen.delete(request);
    this.#peers.remove(request);
  }

  /** RFC 9293, 3.10.7.1: what belongs to no connection. */
  #refuseStray(packet: IpPacket, segment: Segment): void {
    const { sender } = this.#options;
    if (segment.has(flag.rst) || sender.isCongested) return;
    const ends: Ends = {
      family: packet.family,
      source: this.#addressOf(packet),
      remotePort: segment.destinationPort,
      guestPort: segment.sourcePort,
    };
    emit(sender, ends, flag.rst, segment.acknowledgment, 0, 0, noPayload);
  }

  #addressOf(packet: IpPacket): Uint8Array {
    return IpAddress.read(packet.buffer, packet.destinationAt, packet.family).bytes;
  }

  #touch(block: ControlBlock): void {
    if (block.isTouched) return;
    block.isTouched = true;
    if (this.#touched.push(block) === 1) this.#afterBatch(this.#endBatch);
  }

  #removed(block: ControlBlock, timeWait: boolean): void {
    this.#halfOpen.delete(block);
    this.#congested.delete(block);
    const connection = this.#live.get(block);
    if (connection === undefined) return;
    this.#live.delete(block);
    this.#peers.remove(connection);
    if (timeWait) this.#peers.add(this.#timeWaits.add(block));
  }

  /** Each in its turn. */
  #drained(): void {
    for (const block of this.#congested) {
      if (this.#options.sender.isCongested) return;
      this.#congested.delete(block);
      transmit(block, turn);
    }
  }

  #freePort(address: IpAddress, guestPort: number): number {
    const count = 65_536 - firstEphemeralPort;
    for (let tried = 0; tried < count; tried++) {
      const remotePort = this.#nextPort;
      this.#nextPort = remotePort === 65_535 ? firstEphemeralPort : remotePort + 1;
      const ends: Ends = { family: address.family, source: address.bytes, remotePort, guestPort };
      if (this.#peers.find(ends) === undefined) return remotePort;
    }
    throw new RangeError(`all ports of ${address.toString()} to ${guestPort} are in use`);
  }
}
