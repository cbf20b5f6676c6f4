import type { IpPacket } from "../ip/packet.ts";
import type { Ends } from "./segment/emit.ts";
import type { Segment } from "./segment/segment.ts";

/** Who segments between two ends are for. */
export interface Peer extends Ends {
  /** Handles one of them. @returns false: it asks for a new connection, and this peer is gone */
  arrive(segment: Segment): boolean;
}

/** All peers by their ends: remote address, remote port and guest's port. */
export class Peers {
  /** Those that share a number are few: it counts all bits of the ends, and a guest cannot foresee it. */
  readonly #byNumber = new Map<number, Peer[]>();
  readonly #seed = Math.floor(Math.random() * 2 ** 31);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whose a segment is. */
  ofSegment(packet: IpPacket, segment: Segment): Peer | undefined {
    const { buffer, destinationAt } = packet;
    const end = destinationAt + (packet.family === 4 ? 4 : 16);
    let hash = this.#seed;
    for (let at = destinationAt; at < end; at += 4) hash = mix(hash, buffer.readInt32BE(at));
    const list = this.#byNumber.get(mix(hash, (segment.destinationPort << 16) | segment.sourcePort));
    if (list === undefined) return undefined;
    for (const peer of list) {
      if (
        peer.guestPort === segment.sourcePort &&
        peer.remotePort === segment.destinationPort &&
        peer.source.length === end - destinationAt &&
        isAt(buffer, destinationAt, peer.source)
      )
        return peer;
    }
    return undefined;
  }

  find(ends: Ends): Peer | undefined {
    return this.#byNumber.get(this.#numberOf(ends))?.find((peer) => isSame(peer, ends));
  }

  /** There is none with the same ends. */
  add(peer: Peer): void {
    const number = this.#numberOf(peer);
    const list = this.#byNumber.get(number);
    if (list === undefined) this.#byNumber.set(number, [peer]);
    else list.push(peer);
    this.#size++;
  }

  remove(peer: Peer): void {
    const number = this.#numberOf(peer);
    const list = this.#byNumber.get(number);
    const at = list?.indexOf(peer) ?? -1;
    if (list === undefined || at < 0) return;
    this.#size--;
    if (list.length === 1) this.#byNumber.delete(number);
    else list.splice(at, 1);
  }

  clear(): void {
    this.#byNumber.clear();
    this.#size = 0;
  }

  #numberOf({ source, remotePort, guestPort }: Ends): number {
    const view = new DataView(source.buffer, source.byteOffset, source.length);
    let hash = this.#seed;
    for (let at = 0; at < source.length; at += 4) hash = mix(hash, view.getInt32(at));
    return mix(hash, (remotePort << 16) | guestPort);
  }
}

/** The round of MurmurHash3 (Appleby), 32 bits. */
function mix(hash: number, value: number): number {
  let word = Math.imul(value, 0xcc9e2d51);
  word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
  const mixed = hash ^ word;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function isAt(buffer: Buffer, at: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (buffer[at + index] !== bytes[index]) return false;
  return true;
}

function isSame(one: Ends, other: Ends): boolean {
  return (
    one.guestPort === other.guestPort &&
    one.remotePort === other.remotePort &&
    one.source.length === other.source.length &&
    one.source.every((byte, index) => byte === other.source[index])
  );
}
