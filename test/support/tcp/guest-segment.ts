import { IpAddress } from "../../../src/host/ip/address.ts";
import type { IpPacket, IpSender, OutgoingPacket } from "../../../src/network/ip/packet.ts";

/** Whom the guest speaks to, in tests. */
export const outside = IpAddress.of([93, 184, 216, 34]);
export const guest = IpAddress.of([172, 16, 0, 2]);

export interface GuestSegment {
  readonly from: number;
  readonly to: number;
  readonly address?: IpAddress;
  /** Letters: S A F R P U. */
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgment?: number;
  readonly window?: number;
  readonly options?: Uint8Array;
  readonly data?: Uint8Array;
}

const bits: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32 };

/** A packet as the layer of IP gives it, without IP's own fields and with no checksum. */
export function packetOf(segment: GuestSegment): IpPacket {
  const options = segment.options ?? new Uint8Array(0);
  const data = segment.data ?? new Uint8Array(0);
  const to = segment.address ?? outside;
  const four = to.family === 4;
  const ip = four ? 20 : 40;
  const header = 20 + options.length;
  const buffer = Buffer.alloc(ip + header + data.length);
  const [sourceAt, destinationAt] = four ? [12, 16] : [8, 24];
  if (four) buffer.set(guest.bytes, sourceAt);
  buffer.set(to.bytes, destinationAt);
  buffer.writeUInt16BE(segment.from, ip);
  buffer.writeUInt16BE(segment.to, ip + 2);
  buffer.writeInt32BE(segment.sequence | 0, ip + 4);
  buffer.writeInt32BE((segment.acknowledgment ?? 0) | 0, ip + 8);
  buffer.writeUInt8((header / 4) << 4, ip + 12);
  buffer.writeUInt8(
    Array.from(segment.flags).reduce((sum, letter) => sum | (bits[letter] ?? 0), 0),
    ip + 13,
  );
  buffer.writeUInt16BE(segment.window ?? 65_535, ip + 14);
  buffer.set(options, ip + 20);
  buffer.set(data, ip + header);
  return {
    family: to.family,
    buffer,
    at: 0,
    sourceAt,
    destinationAt,
    protocol: 6,
    hopLimit: 64,
    payloadAt: ip,
    end: buffer.length,
  };
}

/** A segment for the guest, taken apart. */
export interface SentSegment {
  readonly from: number;
  readonly to: number;
  readonly source: Buffer;
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly window: number;
  readonly options: Buffer;
  readonly data: Buffer;
}

export function segmentOf(packet: OutgoingPacket): SentSegment {
  const header = Buffer.from(packet.header);
  const flags = header.readUInt8(13);
  return {
    from: header.readUInt16BE(0),
    to: header.readUInt16BE(2),
    source: Buffer.from(packet.source),
    flags: Object.keys(bits)
      .filter((letter) => (flags & (bits[letter] ?? 0)) !== 0)
      .sort((one, other) => "SFRPAU".indexOf(one) - "SFRPAU".indexOf(other))
      .join(""),
    sequence: header.readInt32BE(4),
    acknowledgment: header.readInt32BE(8),
    window: header.readUInt16BE(14),
    options: header.subarray(20),
    data: Buffer.concat(packet.payload),
  };
}

/** The way to the guest, which keeps what is sent until somebody takes it. */
export class KeptSegments implements IpSender {
  readonly mtu: number;
  isCongested = false;
  /** Congested once so many wait. */
  room = Infinity;
  readonly sent: SentSegment[] = [];
  #drain: () => void = () => undefined;

  constructor(mtu: number) {
    this.mtu = mtu;
  }

  send(packet: OutgoingPacket): void {
    this.sent.push(segmentOf(packet));
    if (this.sent.length >= this.room) this.isCongested = true;
  }

  onDrain(callback: () => void): void {
    this.#drain = callback;
  }

  /** Takes what was sent. */
  take(): SentSegment[] {
    const taken = this.sent.splice(0);
    if (this.isCongested) this.drain();
    return taken;
  }

  /** There is room again. */
  drain(): void {
    this.isCongested = false;
    this.#drain();
  }
}
