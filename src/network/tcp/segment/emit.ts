import type { Family } from "../../../host/ip/address.ts";
import { protocolNumbers, type IpSender } from "../../ip/packet.ts";
import { flag, headerBytes } from "./segment.ts";

/** The two ends of a connection, as a segment for the guest needs them. */
export interface Ends {
  readonly family: Family;
  /** 4 or 16 bytes of whom the guest speaks to; not to be changed. */
  readonly source: Uint8Array;
  readonly remotePort: number;
  readonly guestPort: number;
}

/** Options of a SYN. */
export interface SynOptions {
  readonly maximumSegmentSize: number;
  /** null: not offered, because the other side did not. */
  readonly windowShift: number | null;
}

/** Bytes of an IP header without options, and of TCP's. */
export function headersOf(family: Family): number {
  return (family === 4 ? 20 : 40) + headerBytes;
}

const plain = Buffer.alloc(headerBytes);
const withSize = Buffer.alloc(headerBytes + 4);
const withBoth = Buffer.alloc(headerBytes + 8);
const checksumAt = 16;

/** Of a segment without data. */
export const noPayload: readonly Uint8Array[] = [];

/** Sends one segment; the sender copies the header. */
export function emit(
  sender: IpSender,
  ends: Ends,
  flags: number,
  sequence: number,
  acknowledgment: number,
  window: number,
  payload: readonly Uint8Array[],
): void {
  write(sender, ends, plain, flags, sequence, acknowledgment, window, payload);
}

/** Sends a SYN, or with the flag, a SYN that acknowledges one. */
export function emitSyn(
  sender: IpSender,
  ends: Ends,
  flags: number,
  sequence: number,
  acknowledgment: number,
  window: number,
  options: SynOptions,
): void {
  const header = options.windowShift === null ? withSize : withBoth;
  header.writeUInt16BE(0x0204, headerBytes);
  header.writeUInt16BE(options.maximumSegmentSize, headerBytes + 2);
  // A byte that fills up, then kind 3, 3 bytes long.
  if (options.windowShift !== null) header.writeInt32BE(0x01030300 | options.windowShift, headerBytes + 4);
  write(sender, ends, header, flags | flag.syn, sequence, acknowledgment, window, noPayload);
}

function write(
  sender: IpSender,
  ends: Ends,
  header: Buffer,
  flags: number,
  sequence: number,
  acknowledgment: number,
  window: number,
  payload: readonly Uint8Array[],
): void {
  header.writeUInt16BE(ends.remotePort, 0);
  header.writeUInt16BE(ends.guestPort, 2);
  header.writeInt32BE(sequence, 4);
  header.writeInt32BE(acknowledgment, 8);
  header[12] = (header.length / 4) << 4;
  header[13] = flags;
  header.writeUInt16BE(window, 14);
  // Checksum and urgent pointer.
  header.writeUInt32BE(0, checksumAt);
  sender.send({
    family: ends.family,
    source: ends.source,
    protocol: protocolNumbers.tcp,
    header,
    checksumAt,
    pseudoHeader: true,
    payload,
  });
}
