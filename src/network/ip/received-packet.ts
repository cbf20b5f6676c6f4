import type { Family } from "../../host/ip/address.ts";
import type { IpPacket } from "./packet.ts";

/** A packet while its headers are read; one object for all of them, because none is valid any longer than it is handled. */
export class ReceivedPacket implements IpPacket {
  family: Family = 4;
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  sourceAt = 0;
  destinationAt = 0;
  protocol = 0;
  hopLimit = 0;
  payloadAt = 0;
  end = 0;

  /** Where the number of the protocol above is. */
  protocolAt = 0;
  /** Where what is wrong with the headers is, for an ICMP error that points to it. */
  problemAt = 0;
  /** IPv6: an option that is not known asks for an error. */
  asksForError = false;

  isFragment = false;
  /** IPv6: also when it is all there is. */
  hasFragmentHeader = false;
  /** Bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** Its identification is here, 2 bytes or 4. */
  fragmentIdAt = 0;

  start(family: Family, buffer: Buffer, at: number): void {
    this.family = family;
    this.buffer = buffer;
    this.at = at;
    this.sourceAt = family === 4 ? at + 12 : at + 8;
    this.destinationAt = family === 4 ? at + 16 : at + 24;
    this.isFragment = false;
    this.hasFragmentHeader = false;
    this.asksForError = false;
    this.problemAt = at;
  }
}
