import { addressBytes } from "../../host/ip/address.ts";
import { checksumOf, sumOf } from "../checksum/checksum.ts";
import { ipv6HeaderBytes } from "./ipv6.ts";
import type { ReceivedPacket } from "./received-packet.ts";

/** RFC 1122, 3.3.2, and RFC 8200, 4.5, allow a minute; on a cable the rest comes at once or not at all. */
const fragmentLifetimeMs = 10_000;
const mostSets = 64;
const mostFragments = 128;
const mostPacketBytes = 65_535;
/** What all of them may hold: 32 packets of the largest kind. */
const mostBytes = 2 * 1024 * 1024;
/** What a fragment costs besides its bytes. */
const fragmentOverhead = 256;

interface Fragment {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface FragmentSet {
  readonly key: string;
  readonly since: number;
  /** By offset. */
  fragments: Fragment[];
  /** The headers before the first fragment's bytes. */
  head: Uint8Array | null;
  /** Of the packet's payload; null: its end has not come. */
  totalBytes: number | null;
  heldBytes: number;
  /** Overlapping or contradictory: what still comes of it is dropped as well (RFC 5722). */
  isRejected: boolean;
}

/** A packet whose fragments did not all come: its beginning, if that came, for an error. */
export type ExpiredFragments = Buffer | null;

/** Puts packets together. Times are ms of a clock that does not jump. */
export class FragmentReassembly {
  /** By age: the oldest first. */
  readonly #sets = new Map<string, FragmentSet>();
  #bytes = 0;

  /** What is held, in bytes, and how many packets are under way. */
  get held(): { readonly bytes: number; readonly sets: number } {
    return { bytes: this.#bytes, sets: this.#sets.size };
  }

  /**
   * Takes a fragment whose headers are right.
   *
   * @returns the packet as if it had never been fragmented, when this was the last one missing; "kept"; or "rejected"
   */
  add(packet: ReceivedPacket, now: number): Buffer | "kept" | "rejected" {
    const key = keyOf(packet);
    let set = this.#sets.get(key);
    if (set !== undefined && now - set.since >= fragmentLifetimeMs) {
      this.#remove(set);
      set = undefined;
    }
    set ??= this.#begin(key, now);
    if (set.isRejected) return "rejected";
    const { buffer, payloadAt, end, fragmentOffset, moreFragments } = packet;
    if (!this.#insert(set, fragmentOffset, buffer.subarray(payloadAt, end), moreFragments)) {
      this.#reject(set);
      return "rejected";
    }
    if (fragmentOffset === 0) {
      set.head = new Uint8Array(buffer.subarray(packet.at, payloadAt));
      // What counts is what the first one says (RFC 8200, 4.5).
      if (packet.family === 6) set.head = withoutFragmentHeader(packet);
    }
    this.#makeRoom(set);
    if (!isComplete(set) || set.head === null) return "kept";
    this.#remove(set);
    // Its length has to fit into its header: IPv4 counts that, IPv6 does not.
    const headBytes = set.head.length - (packet.family === 4 ? 0 : ipv6HeaderBytes);
    return headBytes + (set.totalBytes ?? 0) > mostPacketBytes ? "rejected" : assembled(set, set.head);
  }

  /** When the oldest has waited too long; null: none waits. */
  get nextExpiry(): number | null {
    for (const { since } of this.#sets.values()) return since + fragmentLifetimeMs;
    return null;
  }

  /** Gives up those that have waited too long. */
  expire(now: number): ExpiredFragments[] {
    const expired: ExpiredFragments[] = [];
    for (const set of this.#sets.values()) {
      if (now - set.since < fragmentLifetimeMs) break;
      this.#remove(set);
      const first = set.fragments[0];
      const hasBeginning = set.head !== null && first?.offset === 0 && !set.isRejected;
      expired.push(
        hasBeginning && set.head !== null ? assembled({ ...set, fragments: [first] }, set.head) : null,
      );
    }
    return expired;
  }

  clear(): void {
    this.#sets.clear();
    this.#bytes = 0;
  }

  #begin(key: string, now: number): FragmentSet {
    if (this.#sets.size >= mostSets) this.#removeOldest(null);
    const set: FragmentSet = {
      key,
      since: now,
      fragments: [],
      head: null,
      totalBytes: null,
      heldBytes: 0,
      isRejected: false,
    };
    this.#sets.set(key, set);
    return set;
  }

  /** @returns false: it contradicts what is there */
  #insert(set: FragmentSet, offset: number, bytes: Uint8Array, more: boolean): boolean {
    const end = offset + bytes.length;
    if (bytes.length === 0 || end > mostPacketBytes || set.fragments.length >= mostFragments) return false;
    if (more ? bytes.length % 8 !== 0 : set.totalBytes !== null && set.totalBytes !== end) return false;
    if (!more) set.totalBytes = end;
    const { fragments } = set;
    const last = fragments.at(-1);
    if (set.totalBytes !== null && Math.max(end, last === undefined ? 0 : endOf(last)) > set.totalBytes)
      return false;
    // Nearly always behind the last one.
    let place = fragments.length;
    while (place > 0 && (fragments[place - 1]?.offset ?? 0) >= offset) place--;
    const before = fragments[place - 1];
    const after = fragments[place];
    if ((before !== undefined && endOf(before) > offset) || (after !== undefined && after.offset < end))
      return false;
    // Memory of its own: a part of a larger piece would keep all of that.
    fragments.splice(place, 0, { offset, bytes: new Uint8Array(bytes) });
    const held = bytes.length + fragmentOverhead;
    set.heldBytes += held;
    this.#bytes += held;
    return true;
  }

  /** Keeps its name, so that the rest of it is known. */
  #reject(set: FragmentSet): void {
    set.isRejected = true;
    set.fragments = [];
    set.head = null;
    this.#bytes -= set.heldBytes;
    set.heldBytes = 0;
  }

  #makeRoom(newest: FragmentSet): void {
    while (this.#bytes > mostBytes && this.#sets.size > 1) this.#removeOldest(newest);
  }

  #removeOldest(but: FragmentSet | null): void {
    for (const set of this.#sets.values()) {
      if (set === but) continue;
      this.#remove(set);
      return;
    }
  }

  #remove(set: FragmentSet): void {
    this.#sets.delete(set.key);
    this.#bytes -= set.heldBytes;
  }
}

/** Addresses and identification, and for IPv4 the protocol (RFC 791, 3.2; RFC 8200, 4.5). The source is the guest. */
function keyOf(packet: ReceivedPacket): string {
  const { family, buffer, destinationAt, fragmentIdAt, protocol } = packet;
  const destination = buffer.toString("latin1", destinationAt, destinationAt + addressBytes[family]);
  return family === 4
    ? `${destination}${buffer.readUInt16BE(fragmentIdAt)} ${protocol}`
    : `${destination}${buffer.readUInt32BE(fragmentIdAt)}`;
}

function endOf({ offset, bytes }: Fragment): number {
  return offset + bytes.length;
}

/** They do not overlap, so it is enough to count. */
function isComplete({ fragments, totalBytes }: FragmentSet): boolean {
  if (totalBytes === null) return false;
  let at = 0;
  for (const fragment of fragments) {
    if (fragment.offset !== at) return false;
    at = endOf(fragment);
  }
  return at === totalBytes;
}

/** The headers before the fragment's, the last of which says what comes now. */
function withoutFragmentHeader({
  buffer,
  at,
  payloadAt,
  fragmentIdAt,
  protocol,
}: ReceivedPacket): Uint8Array {
  const head = new Uint8Array(buffer.subarray(at, payloadAt - 8));
  // Where the number of the fragment's header was: behind the fixed header, it follows the chain.
  let numberAt = 6;
  let next = ipv6HeaderBytes;
  while (at + next < fragmentIdAt - 4) {
    numberAt = next;
    next += 8 + (head[next + 1] ?? 0) * 8;
  }
  head[numberAt] = protocol;
  return head;
}

function assembled({ fragments }: Pick<FragmentSet, "fragments">, head: Uint8Array): Buffer {
  const packet = Buffer.concat([head, ...fragments.map(({ bytes }) => bytes)]);
  if ((packet[0] ?? 0) >> 4 === 6) {
    packet.writeUInt16BE(packet.length - ipv6HeaderBytes, 4);
    return packet;
  }
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0, 6);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(checksumOf(sumOf(packet, 0, head.length)), 10);
  return packet;
}
