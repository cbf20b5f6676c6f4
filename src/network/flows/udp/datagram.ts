import { addressBytes, type Family, type IpAddress } from "../../../host/ip/address.ts";
import { sumOf } from "../../checksum/checksum.ts";
import { type IpPacket, type IpSender, protocolNumbers } from "../../ip/packet.ts";

const headerBytes = 8;

/** What a UDP header says (RFC 768), of a packet that is still in its buffer. */
export interface Datagram {
  readonly guestPort: number;
  /** Where it goes to. */
  readonly port: number;
  readonly payloadAt: number;
  readonly end: number;
}

/** @returns null for what is none: its length or its checksum is wrong */
export function readDatagram(packet: IpPacket): Datagram | null {
  const { buffer, payloadAt: at, family } = packet;
  if (packet.end - at < headerBytes) return null;
  const length = buffer.readUInt16BE(at + 4);
  const end = at + length;
  if (length < headerBytes || end > packet.end) return null;
  const checksum = buffer.readUInt16BE(at + 6);
  // IPv4 may go without; IPv6 may not (RFC 8200, 8.1).
  if (checksum === 0 ? family === 6 : !isRight(packet, length)) return null;
  const port = buffer.readUInt16BE(at + 2);
  const guestPort = buffer.readUInt16BE(at);
  if (port === 0 || guestPort === 0) return null;
  return { guestPort, port, payloadAt: at + headerBytes, end };
}

function isRight({ buffer, family, sourceAt, payloadAt }: IpPacket, length: number): boolean {
  // Both addresses lie one behind the other.
  const addresses = sumOf(buffer, sourceAt, sourceAt + 2 * addressBytes[family]);
  const sum = addresses + protocolNumbers.udp + length + sumOf(buffer, payloadAt, payloadAt + length);
  return sum % 0xffff === 0;
}

/** What a packet carries at most: its length has 16 bits, in IPv4 with the header, in IPv6 with that of a fragment. */
const mostBytes: Readonly<Record<Family, number>> = { 4: 0xffff - 20, 6: 0xffff - 8 };

/** Sends a datagram to the guest, when there is room for it: it is dropped when the guest's cable is congested, as it would be elsewhere. */
export function sendDatagram(
  ip: IpSender,
  from: { readonly address: IpAddress; readonly port: number },
  guestPort: number,
  payload: Uint8Array,
): boolean {
  const length = headerBytes + payload.length;
  if (ip.isCongested || length > mostBytes[from.address.family]) return false;
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(guestPort, 2);
  header.writeUInt16BE(length, 4);
  ip.send({
    family: from.address.family,
    source: from.address.bytes,
    protocol: protocolNumbers.udp,
    header,
    checksumAt: 6,
    pseudoHeader: true,
    payload: [payload],
  });
  return true;
}
