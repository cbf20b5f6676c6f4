import { IpAddress } from "../../host/ip/address.ts";
import type { Quote } from "../ip/icmp-errors.ts";
import type { Refusal, TcpConnection, TcpHandler, TcpRequest } from "./connection.ts";
import type { Peer } from "./peers.ts";
import type { Ends } from "./segment/emit.ts";
import { flag, type Segment } from "./segment/segment.ts";

/** What becomes of a request. */
export interface RequestFate {
  accept(request: PendingRequest, handler: TcpHandler): TcpConnection;
  refuse(request: PendingRequest, how: Refusal): void;
  /** The guest takes it back, or it makes room for others. */
  abandon(request: PendingRequest): void;
}

/** A SYN that nobody has answered yet. */
export class PendingRequest implements TcpRequest, Peer {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly remotePort: number;
  readonly guestPort: number;
  readonly sequence: number;
  /** As the SYN said them. */
  readonly window: number;
  readonly maximumSegmentSize: number;
  readonly windowShift: number;
  /** Of the SYN's packet, for an ICMP error; null: there are none about it. */
  readonly quote: Quote | null;
  /** Neither answered nor abandoned. */
  isOpen = true;
  #abandoned: (() => void) | null = null;
  readonly #fate: RequestFate;
  #remote: TcpRequest["remote"] | null = null;

  constructor(fate: RequestFate, ends: Ends, syn: Segment, quote: Quote | null) {
    this.#fate = fate;
    this.quote = quote;
    this.family = ends.family;
    this.source = ends.source;
    this.remotePort = ends.remotePort;
    this.guestPort = ends.guestPort;
    this.sequence = syn.sequence;
    this.window = syn.window;
    this.maximumSegmentSize = syn.maximumSegmentSize;
    this.windowShift = syn.windowShift;
  }

  get remote(): TcpRequest["remote"] {
    return (this.#remote ??= { address: IpAddress.of(this.source), port: this.remotePort });
  }

  accept(handler: TcpHandler): TcpConnection {
    return this.#fate.accept(this, handler);
  }

  refuse(how: Refusal): void {
    this.#fate.refuse(this, how);
  }

  onAbandoned(callback: () => void): void {
    this.#abandoned = callback;
  }

  tellAbandoned(): void {
    this.#abandoned?.();
  }

  arrive(segment: Segment): boolean {
    if (segment.has(flag.rst)) {
      if (segment.sequence === ((this.sequence + 1) | 0)) this.#fate.abandon(this);
      return true;
    }
    // The same SYN again is not answered twice; another one is a new attempt from the same port.
    if (!segment.has(flag.syn) || segment.has(flag.ack) || segment.sequence === this.sequence) return true;
    this.#fate.abandon(this);
    return false;
  }
}
