import { addressBytes } from "../../host/ip/address.ts";
import { protocolNumbers, type IpPacket, type IpSender, type OutgoingPacket } from "./packet.ts";

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

/** The answer to an echo request, as whomever it was for. */
export interface EchoReply {
  /** Without its data. */
  readonly packet: Omit<OutgoingPacket, "payload">;
  /** Of the request, valid as long as that is. */
  readonly data: Buffer;
}

/** Of a request's data. */
export function echoBytes({ payloadAt, end }: IpPacket): number {
  return end - payloadAt - headerBytes;
}

export function echoReply({ family, buffer, payloadAt, end, destinationAt }: IpPacket): EchoReply {
  const header = Buffer.from(buffer.subarray(payloadAt, payloadAt + headerBytes));
  header[0] = echo[family].reply;
  header.writeUInt16BE(0, 2);
  return {
    packet: {
      family,
      source: Buffer.from(buffer.subarray(destinationAt, destinationAt + addressBytes[family])),
      protocol: family === 4 ? protocolNumbers.icmpv4 : protocolNumbers.icmpv6,
      header,
      checksumAt: 2,
      pseudoHeader: family === 6,
    },
    data: buffer.subarray(payloadAt + headerBytes, end),
  };
}

/** Answers an echo request; not when the way back is full. */
export function answerEcho(packet: IpPacket, sender: IpSender): void {
  if (sender.isCongested) return;
  const reply = echoReply(packet);
  sender.send({ ...reply.packet, payload: [Buffer.from(reply.data)] });
}
