import { randomBytes } from "node:crypto";
import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { Family } from "../../host/ip/address.ts";
import { addSums, checksumOf, sumAt, sumOf } from "../checksum/checksum.ts";
import { prefixBytes } from "../link/frame-buffer.ts";
import type { FrameLink } from "../link/frame-link.ts";
import { etherTypes, ethernetBytes, writeEthernet } from "./ethernet.ts";
import { ipv4HeaderBytes } from "./ipv4.ts";
import { extensionHeaders, ipv6HeaderBytes } from "./ipv6.ts";
import { protocolNumbers, type IpSender, type OutgoingPacket } from "./packet.ts";

/** Copied into the head's buffer rather than written as a piece of its own: a piece costs as much as copying this. */
const fewBytes = 1024;
const fragmentHeaderBytes = 8;
/** Hops a packet may go on inside the guest (RFC 1700's default). */
const hopLimit = 64;
const mostIpv4Bytes = 65_535;

const ipAt = prefixBytes + ethernetBytes;

/** Puts headers before what goes to the guest. */
export class PacketSender implements IpSender {
  readonly mtu: number;
  /** Packets that were too large even for fragments. */
  dropped = 0;
  readonly #link: FrameLink;
  readonly #families: Readonly<Record<Family, FamilyHead | null>>;
  /** Of the next packet that can be fragmented. Where it starts is nobody's business (RFC 7739). */
  #identification = randomBytes(4).readUInt32BE();

  constructor(addresses: LinkAddresses, link: FrameLink) {
    this.mtu = addresses.mtu;
    this.#link = link;
    this.#families = {
      4: addresses.ipv4 === null ? null : familyHead(4, addresses, addresses.ipv4.guest.bytes),
      6: addresses.ipv6 === null ? null : familyHead(6, addresses, addresses.ipv6.guest.bytes),
    };
  }

  get isCongested(): boolean {
    return this.#link.isCongested;
  }

  onDrain(callback: () => void): void {
    this.#link.onDrain(callback);
  }

  send(packet: OutgoingPacket): void {
    const { family, header, payload, protocol } = packet;
    const start = this.#families[family];
    if (start === null) return;
    const payloadBytes = lengthOf(payload);
    const upperBytes = header.length + payloadBytes;
    const ipBytes = family === 4 ? ipv4HeaderBytes : ipv6HeaderBytes;
    if (ipBytes + upperBytes <= this.mtu) {
      const isInline = payloadBytes <= fewBytes;
      const room = header.length + (isInline ? payloadBytes : 0);
      const head = this.#head(packet, start, ipBytes, room, upperBytes);
      this.#finish(head, packet, start);
      if (isInline) copyInto(head, ipAt + ipBytes + header.length, payload);
      this.#link.send(head, isInline ? nothing : payload);
    } else if (protocol === protocolNumbers.tcp)
      throw new RangeError(`a segment of ${upperBytes} bytes does not fit into a packet`);
    else if (canBeFragmented(family, upperBytes)) this.#sendFragments(packet, start, ipBytes, upperBytes);
    else this.dropped++;
  }

  /** The first fragment has all of the upper header (RFC 8200, 4.5). */
  #sendFragments(packet: OutgoingPacket, start: FamilyHead, ipBytes: number, upperBytes: number): void {
    const { family, header } = packet;
    const payload = Buffer.concat(packet.payload);
    const extraBytes = family === 4 ? 0 : fragmentHeaderBytes;
    const most = (this.mtu - ipBytes - extraBytes) & ~7;
    const id = this.#nextIdentification();
    let sum: number | null = null;
    for (let offset = 0; offset < upperBytes; offset += most) {
      const count = Math.min(most, upperBytes - offset);
      const isFirst = offset === 0;
      const head = this.#head(
        packet,
        start,
        ipBytes,
        extraBytes + (isFirst ? header.length : 0),
        extraBytes + count,
      );
      const more = offset + count < upperBytes;
      if (family === 4) {
        head.writeUInt16BE(id & 0xffff, ipAt + 4);
        head.writeUInt16BE((more ? 0x2000 : 0) | (offset / 8), ipAt + 6);
        writeIpv4Checksum(head);
      } else {
        head[ipAt + 6] = extensionHeaders.fragment;
        const at = ipAt + ipv6HeaderBytes;
        head[at] = packet.protocol;
        head[at + 1] = 0;
        head.writeUInt16BE(offset | (more ? 1 : 0), at + 2);
        head.writeUInt32BE(id, at + 4);
      }
      if (isFirst) {
        sum = upperChecksum(packet, start);
        head.set(header, ipAt + ipBytes + extraBytes);
        head.writeUInt16BE(sum, ipAt + ipBytes + extraBytes + packet.checksumAt);
      }
      const from = isFirst ? 0 : offset - header.length;
      this.#link.send(head, [payload.subarray(from, offset + count - header.length)]);
    }
  }

  /**
   * The headers of the link and of IP, with room behind them.
   *
   * @param roomBytes behind the IP header in this buffer
   * @param payloadBytes of the IP packet, wherever they are
   */
  #head(
    packet: OutgoingPacket,
    start: FamilyHead,
    ipBytes: number,
    roomBytes: number,
    payloadBytes: number,
  ): Buffer {
    const head = Buffer.allocUnsafe(ipAt + ipBytes + roomBytes);
    head.set(start.template);
    if (packet.family === 4) {
      head.writeUInt16BE(ipBytes + payloadBytes, ipAt + 2);
      head[ipAt + 9] = packet.protocol;
      head.set(packet.source, ipAt + 12);
    } else {
      head.writeUInt16BE(payloadBytes, ipAt + 4);
      head[ipAt + 6] = packet.protocol;
      head.set(packet.source, ipAt + 8);
    }
    return head;
  }

  /** The upper header and the checksums of a packet in one piece. */
  #finish(head: Buffer, packet: OutgoingPacket, start: FamilyHead): void {
    const upperAt = ipAt + (packet.family === 4 ? ipv4HeaderBytes : ipv6HeaderBytes);
    head.set(packet.header, upperAt);
    head.writeUInt16BE(upperChecksum(packet, start), upperAt + packet.checksumAt);
    if (packet.family === 6) return;
    // What has found its size itself is not fragmented (RFC 1191); its identification says nothing (RFC 6864).
    if (packet.protocol === protocolNumbers.tcp) head.writeUInt16BE(0x4000, ipAt + 6);
    else head.writeUInt16BE(this.#nextIdentification() & 0xffff, ipAt + 4);
    writeIpv4Checksum(head);
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) >>> 0;
    return this.#identification;
  }
}

/** What all packets of a family have in common. */
interface FamilyHead {
  /** From the prefix to the end of the IP header. */
  readonly template: Buffer;
  /** Of the guest's address. */
  readonly destinationSum: number;
}

const nothing: readonly Uint8Array[] = [];

function lengthOf(pieces: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}

function copyInto(target: Uint8Array, at: number, pieces: readonly Uint8Array[]): void {
  let to = at;
  for (const piece of pieces) {
    target.set(piece, to);
    to += piece.length;
  }
}

function familyHead(family: Family, { guestMac, gatewayMac }: LinkAddresses, guest: Uint8Array): FamilyHead {
  const template = Buffer.alloc(ipAt + (family === 4 ? ipv4HeaderBytes : ipv6HeaderBytes));
  writeEthernet(
    template,
    prefixBytes,
    guestMac,
    gatewayMac,
    family === 4 ? etherTypes.ipv4 : etherTypes.ipv6,
  );
  template[ipAt] = family === 4 ? 0x45 : 0x60;
  template[ipAt + (family === 4 ? 8 : 7)] = hopLimit;
  template.set(guest, ipAt + (family === 4 ? 16 : 24));
  return { template, destinationSum: sumOf(guest, 0, guest.length) };
}

function canBeFragmented(family: Family, upperBytes: number): boolean {
  return upperBytes <= (family === 4 ? mostIpv4Bytes - ipv4HeaderBytes : mostIpv4Bytes - fragmentHeaderBytes);
}

function writeIpv4Checksum(head: Buffer): void {
  head.writeUInt16BE(checksumOf(sumOf(head, ipAt, ipAt + ipv4HeaderBytes)), ipAt + 10);
}

/** Over the header, whose length is even, and the payload. */
function upperChecksum(packet: OutgoingPacket, { destinationSum }: FamilyHead): number {
  const { header, payload, protocol, source } = packet;
  let sum = sumOf(header, 0, header.length);
  let bytes = header.length;
  for (const piece of payload) {
    sum = addSums(sum, sumAt(bytes, sumOf(piece, 0, piece.length)));
    bytes += piece.length;
  }
  if (packet.pseudoHeader) {
    sum = addSums(sum, addSums(sumOf(source, 0, source.length), destinationSum));
    sum = addSums(addSums(sum, bytes), protocol);
  }
  const checksum = checksumOf(sum);
  // None, to UDP (RFC 768).
  return checksum === 0 && protocol === protocolNumbers.udp ? 0xffff : checksum;
}
