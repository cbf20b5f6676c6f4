import type { IpPacket } from "../../ip/packet.ts";

/** Bits of the flags (RFC 9293, 3.1). CWR and ECE mean nothing without ECN, which we never agree to. */
export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

/** Bytes of a header without options. */
export const headerBytes = 20;

const optionKind = { end: 0, noOperation: 1, maximumSegmentSize: 2, windowScale: 3 } as const;

/** RFC 7323, 2.3: larger shifts are taken for 14. */
const maxWindowShift = 14;

/** What was read of a segment. One is used again and again: what outlives the call is copied. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  flags = 0;
  /** As it is in the header: not scaled. */
  window = 0;
  /** Option of a SYN; 0: not said. */
  maximumSegmentSize = 0;
  /** Option of a SYN; -1: not said. */
  windowShift = -1;
  /** Where the payload lies in `buffer`. */
  dataAt = 0;
  end = 0;
  buffer: Buffer = Buffer.alloc(0);

  /** In sequence numbers: payload, SYN and FIN. */
  get length(): number {
    return this.end - this.dataAt + ((this.flags & flag.syn) >> 1) + (this.flags & flag.fin);
  }

  has(bit: number): boolean {
    return (this.flags & bit) !== 0;
  }

  /**
   * Reads and checks what can be checked without knowing the connection: sizes, ports, flags that contradict each other. Bits that are
   * reserved are ignored, as RFC 9293, 3.1, asks. The checksum is somebody else's.
   *
   * @returns false: to be dropped
   */
  read(packet: IpPacket): boolean {
    const { buffer, payloadAt: at, end } = packet;
    if (end - at < headerBytes) return false;
    const bytes = (buffer.readUInt8(at + 12) >> 4) * 4;
    if (bytes < headerBytes || at + bytes > end) return false;
    this.buffer = buffer;
    this.sourcePort = buffer.readUInt16BE(at);
    this.destinationPort = buffer.readUInt16BE(at + 2);
    if (this.sourcePort === 0 || this.destinationPort === 0) return false;
    this.sequence = buffer.readInt32BE(at + 4);
    this.acknowledgment = buffer.readInt32BE(at + 8);
    this.flags = buffer.readUInt8(at + 13) & 0x3f;
    this.window = buffer.readUInt16BE(at + 14);
    this.dataAt = at + bytes;
    this.end = end;
    this.maximumSegmentSize = 0;
    this.windowShift = -1;
    if (!this.#hasSense()) return false;
    // Of the others there is none that we agree to, so none that another segment could carry.
    if (this.has(flag.syn)) this.#readOptions(at + headerBytes, this.dataAt);
    return true;
  }

  /** No sender has a use for a SYN that ends, nor for a segment that neither begins, acknowledges nor resets. */
  #hasSense(): boolean {
    if (this.has(flag.rst)) return true;
    return this.has(flag.syn) ? !this.has(flag.fin) : this.has(flag.ack);
  }

  /** Stops at what is malformed: what came before it counts. */
  #readOptions(from: number, end: number): void {
    let at = from;
    while (at < end) {
      const kind = this.buffer.readUInt8(at);
      if (kind === optionKind.end) return;
      if (kind === optionKind.noOperation) {
        at++;
        continue;
      }
      if (at + 2 > end) return;
      const length = this.buffer.readUInt8(at + 1);
      if (length < 2 || at + length > end) return;
      if (kind === optionKind.maximumSegmentSize && length === 4)
        this.maximumSegmentSize = this.buffer.readUInt16BE(at + 2);
      else if (kind === optionKind.windowScale && length === 3)
        this.windowShift = Math.min(this.buffer.readUInt8(at + 2), maxWindowShift);
      at += length;
    }
  }
}
