import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import { addSums, checksumOf, sumOf } from "../checksum/checksum.ts";
import { prefixBytes } from "../link/frame-buffer.ts";
import type { FrameLink } from "../link/frame-link.ts";
import type { Destinations } from "./destinations.ts";
import { etherTypes, ethernetBytes, isAt, writeEthernet } from "./ethernet.ts";
import { ipv6HeaderBytes } from "./ipv6.ts";
import type { Outcome } from "./outcomes.ts";
import { protocolNumbers } from "./packet.ts";
import type { ReceivedPacket } from "./received-packet.ts";
import { isUpperChecksumRight } from "./upper-checksum.ts";

/** ICMPv6 types for the link alone: multicast listeners (RFC 3810), and neighbour discovery (RFC 4861). */
const types = {
  listenerQuery: 130,
  listenerDone: 132,
  routerSolicitation: 133,
  neighbourSolicitation: 135,
  redirect: 137,
  listenerReport: 143,
} as const;

/** Of a packet that no router has passed on (RFC 4861, 3.1). */
const hopLimit = 255;
/** A solicitation without options, and an advertisement with the target's MAC address. */
const solicitationBytes = 24;
const advertisementBytes = 32;
/** The first byte of an advertisement's flags: of a router, solicited, to override what is known. */
const flags = { router: 0x80, solicited: 0x40, override: 0x20 } as const;

const unspecified = new Uint8Array(16);
const allNodes = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const allNodesMac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
/** ff02::1:ff00:0/104, the group of those whose address ends alike. */
const solicitedNodePrefix = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff);

/** Whether it is for the link alone, from whichever source; then it is {@link NeighbourResponder.handle}'s. */
export function isForLink({ protocol, buffer, payloadAt, end }: ReceivedPacket): boolean {
  if (protocol !== protocolNumbers.icmpv6 || payloadAt >= end) return false;
  const type = buffer[payloadAt] ?? 0;
  return (type >= types.listenerQuery && type <= types.redirect) || type === types.listenerReport;
}

/**
 * Answers for IPv6 what `ArpResponder` answers for IPv4: every address is at the gateway, but the guest's own, and those of the link, where
 * nobody else is. Routers are asked in vain: the guest is told its routes otherwise.
 */
export class NeighbourResponder {
  readonly #addresses: LinkAddresses;
  readonly #link: FrameLink;
  readonly #destinations: Destinations;

  constructor(addresses: LinkAddresses, link: FrameLink, destinations: Destinations) {
    this.#addresses = addresses;
    this.#link = link;
    this.#destinations = destinations;
  }

  handle(packet: ReceivedPacket): Outcome {
    const { buffer, payloadAt, end, sourceAt, destinationAt } = packet;
    const type = buffer[payloadAt] ?? 0;
    if (type < types.routerSolicitation || type === types.listenerReport) return "ignored";
    if (packet.hopLimit !== hopLimit || buffer[payloadAt + 1] !== 0) return "ndp";
    if (!isUpperChecksumRight(packet)) return "ndp";
    if (type !== types.neighbourSolicitation) return "ignored";

    const own = this.#addresses.ipv6;
    if (own === null) return "ignored";
    if (end - payloadAt < solicitationBytes || !areOptionsWhole(buffer, payloadAt + solicitationBytes, end))
      return "ndp";
    const targetAt = payloadAt + 8;
    const isForGroup = isAt(buffer, destinationAt, solicitedNodePrefix);
    const isForTarget =
      buffer.compare(buffer, targetAt, targetAt + 16, destinationAt, destinationAt + 16) === 0;
    const isProbe = isAt(buffer, sourceAt, unspecified);
    if (isProbe ? !isForGroup : !isForGroup && !isForTarget) return "ndp";
    if (!isProbe && !isAt(buffer, sourceAt, own.guest.bytes) && !isLinkLocal(buffer, sourceAt))
      return "source-address";
    const kind = this.#destinations.kind(6, buffer, targetAt);
    const isOurs = kind === "gateway" || (kind === "other" && !isProbe);
    if (!isOurs || this.#link.isCongested) return "ignored";
    this.#advertise(packet, targetAt, kind === "gateway", isProbe);
    return "answered";
  }

  #advertise(
    { buffer, sourceAt }: ReceivedPacket,
    targetAt: number,
    isGateway: boolean,
    isProbe: boolean,
  ): void {
    const { guestMac, gatewayMac } = this.#addresses;
    const head = Buffer.alloc(prefixBytes + ethernetBytes + ipv6HeaderBytes + advertisementBytes);
    const ip = prefixBytes + ethernetBytes;
    writeEthernet(head, prefixBytes, isProbe ? allNodesMac : guestMac, gatewayMac, etherTypes.ipv6);
    head[ip] = 0x60;
    head.writeUInt16BE(advertisementBytes, ip + 4);
    head[ip + 6] = protocolNumbers.icmpv6;
    head[ip + 7] = hopLimit;
    buffer.copy(head, ip + 8, targetAt, targetAt + 16);
    if (isProbe) head.set(allNodes, ip + 24);
    else buffer.copy(head, ip + 24, sourceAt, sourceAt + 16);

    const icmp = ip + ipv6HeaderBytes;
    head[icmp] = types.neighbourSolicitation + 1;
    // For others it speaks as a proxy (RFC 4389, 4.1.3.3).
    head[icmp + 4] = (isGateway ? flags.router | flags.override : 0) | (isProbe ? 0 : flags.solicited);
    buffer.copy(head, icmp + 8, targetAt, targetAt + 16);
    // Target link-layer address, one unit of 8 bytes (RFC 4861, 4.6.1).
    head[icmp + 24] = 2;
    head[icmp + 25] = 1;
    head.set(gatewayMac, icmp + 26);
    const addresses = sumOf(head, ip + 8, ip + 40);
    const body = addSums(sumOf(head, icmp, head.length), advertisementBytes + protocolNumbers.icmpv6);
    head.writeUInt16BE(checksumOf(addSums(addresses, body)), icmp + 2);
    this.#link.send(head, []);
  }
}

function isLinkLocal(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0xfe && ((bytes[at + 1] ?? 0) & 0xc0) === 0x80;
}

/** Each has a length, in units of 8 bytes, of at least one (RFC 4861, 4.6). */
function areOptionsWhole(bytes: Buffer, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    const length = at + 1 < end ? (bytes[at + 1] ?? 0) * 8 : 0;
    if (length === 0 || at + length > end) return false;
    at += length;
  }
  return true;
}
