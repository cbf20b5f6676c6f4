import { addressBytes } from "../../host/ip/address.ts";
import { protocolNumbers, type IpPacket, type IpSender } from "./packet.ts";

/** Type of an echo request, and of its reply (RFC 792; RFC 4443, 4). */
const echo = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
/** Type, code, checksum, identifier, sequence number. */
const headerBytes = 8;

export function isEchoRequest({ family, buffer, payloadAt, end }: IpPacket): boolean {
  return (
    end - payloadAt >= headerBytes &&
    buffer[payloadAt] === echo[family].request &&
    buffer[payloadAt + 1] === 0
  );
}

/** Answers an echo request as whomever it was for; not when the way back is full. */
export function answerEcho(packet: IpPacket, sender: IpSender): void {
  if (sender.isCongested) return;
  const { family, buffer, payloadAt, end, destinationAt } = packet;
  const header = Buffer.from(buffer.subarray(payloadAt, payloadAt + headerBytes));
  header[0] = echo[family].reply;
  header.writeUInt16BE(0, 2);
  sender.send({
    family,
    source: Buffer.from(buffer.subarray(destinationAt, destinationAt + addressBytes[family])),
    protocol: family === 4 ? protocolNumbers.icmpv4 : protocolNumbers.icmpv6,
    header,
    checksumAt: 2,
    pseudoHeader: family === 6,
    payload: Buffer.from(buffer.subarray(payloadAt + headerBytes, end)),
  });
}
