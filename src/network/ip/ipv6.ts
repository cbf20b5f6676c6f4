import type { Outcome } from "./outcomes.ts";
import type { ReceivedPacket } from "./received-packet.ts";

/** Without extension headers (RFC 8200, 3). */
export const ipv6HeaderBytes = 40;

/** Numbers of extension headers (RFC 8200, 4). */
export const extensionHeaders = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  none: 59,
  destination: 60,
} as const;

/** As many as RFC 8200, 4.1, lists, and one of each again. */
const mostExtensionHeaders = 8;
const mostExtensionBytes = 1024;

/**
 * Reads and checks an IPv6 header and those behind it, everything but the addresses. Stops at a fragment's header, unless the fragment is
 * all there is (RFC 6946).
 *
 * @param end behind the last byte there is; a frame may be longer than its packet
 * @returns what is wrong with it
 */
export function readIpv6(packet: ReceivedPacket, buffer: Buffer, at: number, end: number): Outcome | null {
  packet.start(6, buffer, at);
  if (end - at < ipv6HeaderBytes || (buffer[at] ?? 0) >> 4 !== 6) return "ip-header";
  const payloadBytes = buffer.readUInt16BE(at + 4);
  if (payloadBytes > end - at - ipv6HeaderBytes) return "ip-header";
  packet.hopLimit = buffer[at + 7] ?? 0;
  packet.protocolAt = at + 6;
  packet.protocol = buffer[at + 6] ?? 0;
  packet.payloadAt = at + ipv6HeaderBytes;
  packet.end = packet.payloadAt + payloadBytes;

  for (let count = 0; ; count++) {
    switch (packet.protocol) {
      case extensionHeaders.hopByHop: {
        packet.problemAt = packet.protocolAt;
        if (count > 0) return "extension-header";
        const wrong = optionsHeader(packet);
        if (wrong !== null) return wrong;
        break;
      }
      case extensionHeaders.destination: {
        const wrong = optionsHeader(packet);
        if (wrong !== null) return wrong;
        break;
      }
      case extensionHeaders.routing:
        // Its type; none is served (RFC 5095).
        packet.problemAt = packet.payloadAt + 2;
        return "source-route";
      case extensionHeaders.fragment: {
        const wrong = fragmentHeader(packet);
        if (wrong !== null) return wrong;
        if (packet.isFragment) return null;
        break;
      }
      case extensionHeaders.none:
        return "ignored";
      default:
        return null;
    }
    if (count >= mostExtensionHeaders || packet.payloadAt - at > mostExtensionBytes)
      return "extension-header";
  }
}

function next(packet: ReceivedPacket, headerBytes: number): void {
  packet.protocolAt = packet.payloadAt;
  packet.protocol = packet.buffer[packet.payloadAt] ?? 0;
  packet.payloadAt += headerBytes;
}

/** Hop-by-hop and destination options (RFC 8200, 4.2): what is not known is skipped, or says by its upper two bits that it cannot be. */
function optionsHeader(packet: ReceivedPacket): Outcome | null {
  const { buffer, end, payloadAt } = packet;
  if (end - payloadAt < 8) return "extension-header";
  const headerBytes = 8 + (buffer[payloadAt + 1] ?? 0) * 8;
  if (headerBytes > end - payloadAt) return "extension-header";
  const behind = payloadAt + headerBytes;
  let at = payloadAt + 2;
  while (at < behind) {
    const kind = buffer[at] ?? 0;
    if (kind === 0) {
      at++;
      continue;
    }
    const length = at + 1 < behind ? 2 + (buffer[at + 1] ?? 0) : 0;
    packet.problemAt = at;
    if (length === 0 || at + length > behind) return "ip-option";
    const unknown = kind >> 6;
    if (unknown !== 0) {
      const isGroup = buffer[packet.destinationAt] === 0xff;
      packet.asksForError = unknown === 2 || (unknown === 3 && !isGroup);
      return "ip-option";
    }
    at += length;
  }
  next(packet, headerBytes);
  return null;
}

/** RFC 8200, 4.5. Reserved bits must be zero. */
function fragmentHeader(packet: ReceivedPacket): Outcome | null {
  const { buffer, end, payloadAt } = packet;
  if (packet.isFragment || end - payloadAt < 8) return "extension-header";
  const fragmentation = buffer.readUInt16BE(payloadAt + 2);
  if (buffer[payloadAt + 1] !== 0 || (fragmentation & 6) !== 0) return "fragment";
  packet.hasFragmentHeader = true;
  packet.fragmentOffset = fragmentation & 0xfff8;
  packet.moreFragments = (fragmentation & 1) !== 0;
  packet.fragmentIdAt = payloadAt + 4;
  packet.isFragment = packet.fragmentOffset > 0 || packet.moreFragments;
  next(packet, 8);
  return null;
}
