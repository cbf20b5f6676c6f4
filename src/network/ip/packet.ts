import type { Family } from "../../host/ip/address.ts";

/** Numbers of the protocols above IP (IANA "Protocol Numbers"). */
export const protocolNumbers = { icmpv4: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/**
 * A checked IP packet from the guest, as it lies in a buffer: its version, lengths and header checksum are right, it is no fragment, its
 * source is the guest's own address, and it is not for the link alone. Valid until the callee returns: what it keeps, it copies.
 */
export interface IpPacket {
  readonly family: Family;
  readonly buffer: Buffer;
  /** Where the IP header begins, for an ICMP error that quotes it. */
  readonly at: number;
  /** Where the source's 4 or 16 bytes are. */
  readonly sourceAt: number;
  readonly destinationAt: number;
  /** See {@link protocolNumbers}. */
  readonly protocol: number;
  /** IPv4: time to live. */
  readonly hopLimit: number;
  /** Where the header of the protocol above begins. */
  readonly payloadAt: number;
  /** Behind the last byte of the packet. */
  readonly end: number;
}

/** Takes the packets of one protocol. */
export type PacketHandler = (packet: IpPacket) => void;

/** A packet for the guest. */
export interface OutgoingPacket {
  readonly family: Family;
  /** 4 or 16 bytes: whom the guest takes it to be from. The destination is the guest's address of that family. */
  readonly source: Uint8Array;
  readonly protocol: number;
  /** Of the protocol above: copied, with the checksum filled in. */
  readonly header: Uint8Array;
  /** Where its checksum is in `header`, which counts the pseudo-header (not for ICMPv4). Must be 0 there. */
  readonly checksumAt: number;
  readonly pseudoHeader: boolean;
  /** In as many pieces as it lies in, none or more. Kept until they are written: not to be changed before. */
  readonly payload: readonly Uint8Array[];
}

/** The way to the guest. */
export interface IpSender {
  /** Of the guest's interface, bytes of an IP packet. */
  readonly mtu: number;
  /** More than a bounded amount waits for QEMU to take it: who can wait, does until {@link onDrain}; who cannot, drops. */
  readonly isCongested: boolean;
  /**
   * Sends a packet of at most `mtu` bytes with its headers. Larger ones go out as fragments, but for those of TCP. Does nothing when the
   * guest has no address of that family, and drops what is too large for a packet even in fragments: its size may be somebody else's word.
   *
   * @throws RangeError for a TCP segment that is larger
   */
  send(packet: OutgoingPacket): void;
  /** Calls back whenever congestion is over. */
  onDrain(callback: () => void): void;
}
