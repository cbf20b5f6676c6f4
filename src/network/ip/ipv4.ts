import { sumOf } from "../checksum/checksum.ts";
import type { Outcome } from "./outcomes.ts";
import type { ReceivedPacket } from "./received-packet.ts";

/** Without options (RFC 791, 3.1). */
export const ipv4HeaderBytes = 20;

/** Options of a header (RFC 791, 3.1): the end, nothing, loose and strict source routing. */
const options = { end: 0, none: 1, looseSourceRoute: 131, strictSourceRoute: 137 } as const;

/**
 * Reads and checks an IPv4 header, everything but its addresses.
 *
 * @param end behind the last byte there is; a frame may be longer than its packet
 * @returns what is wrong with it
 */
export function readIpv4(packet: ReceivedPacket, buffer: Buffer, at: number, end: number): Outcome | null {
  packet.start(4, buffer, at);
  if (end - at < ipv4HeaderBytes) return "ip-header";
  const first = buffer[at] ?? 0;
  const headerBytes = (first & 0x0f) * 4;
  const totalBytes = buffer.readUInt16BE(at + 2);
  if (first >> 4 !== 4 || headerBytes < ipv4HeaderBytes) return "ip-header";
  if (totalBytes < headerBytes || totalBytes > end - at) return "ip-header";
  if (sumOf(buffer, at, at + headerBytes) !== 0xffff) return "ip-checksum";
  packet.hopLimit = buffer[at + 8] ?? 0;
  packet.protocolAt = at + 9;
  packet.protocol = buffer[at + 9] ?? 0;
  packet.payloadAt = at + headerBytes;
  packet.end = at + totalBytes;

  const wrong = headerBytes > ipv4HeaderBytes ? optionFault(packet) : null;
  if (wrong !== null) return wrong;
  const fragmentation = buffer.readUInt16BE(at + 6);
  // The reserved bit must be zero; a packet that must not be fragmented has no fragments.
  if ((fragmentation & 0x8000) !== 0) return "ip-header";
  if ((fragmentation & 0x3fff) === 0) return null;
  if ((fragmentation & 0x4000) !== 0) return "fragment";
  packet.isFragment = true;
  packet.fragmentOffset = (fragmentation & 0x1fff) * 8;
  packet.moreFragments = (fragmentation & 0x2000) !== 0;
  packet.fragmentIdAt = at + 4;
  return null;
}

function optionFault(packet: ReceivedPacket): Outcome | null {
  const { buffer, payloadAt } = packet;
  let at = packet.at + ipv4HeaderBytes;
  while (at < payloadAt) {
    packet.problemAt = at;
    const kind = buffer[at] ?? 0;
    if (kind === options.end) return null;
    if (kind === options.looseSourceRoute || kind === options.strictSourceRoute) return "source-route";
    const length = kind === options.none ? 1 : at + 1 < payloadAt ? (buffer[at + 1] ?? 0) : 0;
    if (length < (kind === options.none ? 1 : 2) || at + length > payloadAt) return "ip-option";
    at += length;
  }
  return null;
}
