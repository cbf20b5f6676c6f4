import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import { addressBytes, type Family } from "../../host/ip/address.ts";
import { TokenBucket } from "../link/token-bucket.ts";
import { protocolNumbers, type IpPacket, type IpSender } from "./packet.ts";

/** Why a packet was not delivered, as ICMP (RFC 792; RFC 1812, 5.2.7.1) and ICMPv6 (RFC 4443, 3.1) tell it. */
export type UnreachableReason = "network" | "host" | "port" | "prohibited";

/** A packet's beginning, kept for an error that comes later. */
export interface Quote {
  readonly family: Family;
  /** From the IP header on. */
  readonly bytes: Uint8Array;
  readonly destination: Uint8Array;
}

/** What an error quotes at most: 576 bytes in all (RFC 1812, 4.3.2.3), and 1280 (RFC 4443, 2.4). */
const quoteBytes: Readonly<Record<Family, number>> = { 4: 576 - 28, 6: 1280 - 48 };
/** Behind the headers, what a kept quote has: the ports, and TCP's sequence number (RFC 792). */
const keptBytes = 8;

/** Type and code. */
const unreachable: Readonly<Record<UnreachableReason, Readonly<Record<Family, readonly [number, number]>>>> =
  {
    network: { 4: [3, 0], 6: [1, 0] },
    host: { 4: [3, 1], 6: [1, 3] },
    port: { 4: [3, 3], 6: [1, 4] },
    prohibited: { 4: [3, 13], 6: [1, 1] },
  };

/** 1,000 a second, 100 at once, as Linux does (`icmp_msgs_per_sec`). */
const rate = { size: 100, refillTimeMs: 100, oneTimeBurst: 0 } as const;

/** Tells the guest what became of its packets. Limited in rate; never about an ICMP error, or a packet for more than one (RFC 1122, 3.2.2). */
export class IcmpErrors {
  readonly #addresses: LinkAddresses;
  readonly #sender: IpSender;
  readonly #bucket = new TokenBucket(rate, performance.now());
  /** Not sent, because of the rate. */
  suppressed = 0;

  constructor(addresses: LinkAddresses, sender: IpSender) {
    this.#addresses = addresses;
    this.#sender = sender;
  }

  /**
   * Destination unreachable. That a port is not served comes from the destination itself, everything else from the gateway.
   *
   * @returns whether it was sent
   */
  unreachable(about: IpPacket | Quote, reason: UnreachableReason): boolean {
    const [type, code] = unreachable[reason][about.family];
    return this.#send(about, type, code, 0, reason === "port");
  }

  /** A datagram was too large for a hop: fragmentation needed (RFC 1191), packet too big (RFC 4443, 3.2). @param mtu bytes of an IP packet */
  packetTooBig(about: IpPacket | Quote, mtu: number): boolean {
    return about.family === 4
      ? this.#send(about, 3, 4, Math.min(mtu, 0xffff), false)
      : this.#send(about, 2, 0, mtu, false);
  }

  /** Its last hop was the gateway, or its fragments did not come in time. */
  timeExceeded(about: IpPacket | Quote, what: "hops" | "fragments"): boolean {
    return this.#send(about, about.family === 4 ? 11 : 3, what === "hops" ? 0 : 1, 0, false);
  }

  /** Nobody takes its protocol. @param pointer bytes from the IP header to where the protocol's number is */
  protocolUnknown(about: IpPacket, pointer: number): boolean {
    return about.family === 4 ? this.#send(about, 3, 2, 0, true) : this.#send(about, 4, 1, pointer, true);
  }

  /** It asks to be sent on its way by others. @param pointer bytes from the IP header to where it does */
  sourceRouteRefused(about: IpPacket, pointer: number): boolean {
    return about.family === 4 ? this.#send(about, 3, 5, 0, false) : this.#send(about, 4, 0, pointer, false);
  }

  /** IPv6: an option that has to be known is not. @param pointer bytes from the IP header to it */
  optionUnknown(about: IpPacket, pointer: number): boolean {
    return about.family === 6 && this.#send(about, 4, 2, pointer, false);
  }

  /** @param rest the 32 bits behind the checksum */
  #send(
    about: IpPacket | Quote,
    type: number,
    code: number,
    rest: number,
    isFromDestination: boolean,
  ): boolean {
    const own = about.family === 4 ? this.#addresses.ipv4 : this.#addresses.ipv6;
    const quote = isQuote(about) ? about : mayBeTold(about) ? quoted(about, quoteBytes[about.family]) : null;
    if (own === null || quote === null || this.#sender.isCongested) return false;
    if (this.#bucket.wait(1, performance.now()) > 0) {
      this.suppressed++;
      return false;
    }
    this.#bucket.take(1);
    const header = Buffer.alloc(8);
    header[0] = type;
    header[1] = code;
    header.writeUInt32BE(rest, 4);
    this.#sender.send({
      family: quote.family,
      source: isFromDestination ? quote.destination : own.gateway.bytes,
      protocol: quote.family === 4 ? protocolNumbers.icmpv4 : protocolNumbers.icmpv6,
      header,
      checksumAt: 2,
      pseudoHeader: quote.family === 6,
      payload: [quote.bytes],
    });
    return true;
  }
}

/** What an error about a packet needs when the packet is gone; null: there are none about it. */
export function quoteOf(packet: IpPacket): Quote | null {
  return mayBeTold(packet) ? quoted(packet, packet.payloadAt - packet.at + keptBytes) : null;
}

function isQuote(about: IpPacket | Quote): about is Quote {
  return "bytes" in about;
}

function quoted({ family, buffer, at, end, destinationAt }: IpPacket, most: number): Quote {
  return {
    family,
    bytes: new Uint8Array(buffer.subarray(at, Math.min(end, at + most))),
    destination: new Uint8Array(buffer.subarray(destinationAt, destinationAt + addressBytes[family])),
  };
}

/** No error about an error, nor about what was for several. Of the fragments only the first one has who sent it. */
function mayBeTold({ family, buffer, payloadAt, end, protocol, destinationAt }: IpPacket): boolean {
  const first = buffer[destinationAt] ?? 0;
  if (family === 4 ? (first >= 224 && first < 240) || first === 255 : first === 0xff) return false;
  if (protocol === protocolNumbers.icmpv4 || protocol === protocolNumbers.icmpv6) {
    if (payloadAt >= end) return false;
    const type = buffer[payloadAt] ?? 0;
    return protocol === protocolNumbers.icmpv6 ? type >= 128 : icmpQuestions.has(type);
  }
  return true;
}

/** Echo, timestamp, information and address mask: all other types of ICMP are errors, or redirects. */
const icmpQuestions: ReadonlySet<number> = new Set([0, 8, 9, 10, 13, 14, 15, 16, 17, 18]);
