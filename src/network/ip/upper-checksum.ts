import { addSums, sumOf } from "../checksum/checksum.ts";
import { protocolNumbers, type IpPacket } from "./packet.ts";

/**
 * Whether the checksum of the protocol above IP is right: over all of it, and the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1), which ICMP
 * for IPv4 does without. A UDP datagram over IPv4 without a checksum, 0, is the caller's to find.
 */
export function isUpperChecksumRight(packet: IpPacket): boolean {
  const { buffer, payloadAt, end, protocol } = packet;
  let sum = sumOf(buffer, payloadAt, end);
  if (protocol !== protocolNumbers.icmpv4) {
    // Both addresses are beside each other, in either version.
    sum = addSums(sum, sumOf(buffer, packet.sourceAt, packet.sourceAt + (packet.family === 4 ? 8 : 32)));
    // A packet's length is below 2^16, so the upper half of IPv6's is zero.
    sum = addSums(addSums(sum, end - payloadAt), protocol);
  }
  return sum === 0xffff;
}
