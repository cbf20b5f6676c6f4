import type { IpAddress } from "../../../host/ip/address.ts";
import { classIn, types } from "./codes.ts";
import { headerBytes } from "./name.ts";
import type { QueryHead } from "./query.ts";

/** Bytes of UDP payload without EDNS (RFC 1035, 2.3.4), and the most that we take or give with it. */
export const smallestUdp = 512;
export const largestUdp = 4096;

export interface LocalAnswer {
  /** With extended ones (RFC 6891, 6.1.3). */
  readonly rcode: number;
  readonly isTruncated?: boolean;
  readonly isAuthoritative?: boolean;
  /** Addresses of the name that was asked for. */
  readonly addresses?: readonly IpAddress[];
  readonly ttlSeconds?: number;
  /** Told whoever speaks EDNS (RFC 8914). */
  readonly extendedError?: { readonly code: number; readonly text: string };
}

/** An answer of our own: id, opcode, RD and the first question are those of the query; RA is set. */
export function localResponse(head: QueryHead, answer: LocalAnswer): Buffer {
  const { rcode, addresses = [], ttlSeconds = 0, extendedError } = answer;
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(head.id, 0);
  const flags =
    0x8000 |
    (head.opcode << 11) |
    (answer.isAuthoritative === true ? 0x0400 : 0) |
    (answer.isTruncated === true ? 0x0200 : 0) |
    (head.isRecursionDesired ? 0x0100 : 0) |
    0x0080 |
    (head.isCheckingDisabled ? 0x0010 : 0) |
    (rcode & 0xf);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(head.question === null ? 0 : 1, 4);
  header.writeUInt16BE(addresses.length, 6);
  header.writeUInt16BE(head.edns === null ? 0 : 1, 10);
  const parts: Buffer[] = [header];
  if (head.question !== null) parts.push(head.question);
  for (const address of addresses) parts.push(addressRecord(address, ttlSeconds));
  if (head.edns !== null) parts.push(optRecord(rcode >> 4, head.edns.isDnssecOk, extendedError));
  return Buffer.concat(parts);
}

/** Its name is a pointer to the question. */
function addressRecord(address: IpAddress, ttlSeconds: number): Buffer {
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc000 | headerBytes, 0);
  record.writeUInt16BE(address.family === 4 ? types.A : types.AAAA, 2);
  record.writeUInt16BE(classIn, 4);
  record.writeUInt32BE(ttlSeconds, 6);
  record.writeUInt16BE(address.bytes.length, 10);
  return Buffer.concat([record, address.bytes]);
}

export function optRecord(
  rcodeHigh: number,
  isDnssecOk: boolean,
  extendedError: LocalAnswer["extendedError"],
  udpSize = largestUdp,
): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(types.OPT, 1);
  record.writeUInt16BE(udpSize, 3);
  record.writeUInt8(rcodeHigh, 5);
  record.writeUInt16BE(isDnssecOk ? 0x8000 : 0, 7);
  if (extendedError === undefined) return record;
  const text = Buffer.from(extendedError.text);
  const option = Buffer.alloc(6);
  option.writeUInt16BE(15, 0);
  option.writeUInt16BE(2 + text.length, 2);
  option.writeUInt16BE(extendedError.code, 4);
  record.writeUInt16BE(option.length + text.length, 9);
  return Buffer.concat([record, option, text]);
}
