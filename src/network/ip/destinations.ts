import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { Family } from "../../host/ip/address.ts";
import { isAt } from "./ethernet.ts";

/**
 * Where a packet goes. `group`: to several. `nowhere`: no router passes it on (RFC 1812, 5.3.7; RFC 4291, 2.5 and RFC 6890). All
 * others are for the policy.
 */
export type DestinationKind = "gateway" | "guest" | "group" | "nowhere" | "other";

/** Tells destinations of the guest's packets apart. */
export class Destinations {
  readonly #addresses: LinkAddresses;
  /** The first and the last address of the guest's IPv4 network stand for all of it; not in one of two addresses (RFC 3021). */
  readonly #networkMask: number;

  constructor(addresses: LinkAddresses) {
    this.#addresses = addresses;
    const prefix = addresses.ipv4?.prefix ?? 32;
    this.#networkMask = prefix >= 31 || prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
  }

  kind(family: Family, bytes: Buffer, at: number): DestinationKind {
    const own = family === 4 ? this.#addresses.ipv4 : this.#addresses.ipv6;
    if (own === null) return "nowhere";
    if (isAt(bytes, at, own.gateway.bytes)) return "gateway";
    if (isAt(bytes, at, own.guest.bytes)) return "guest";
    return family === 4 ? this.#ipv4(bytes, at, own.guest.bytes) : ipv6(bytes, at);
  }

  #ipv4(bytes: Buffer, at: number, guest: Uint8Array): DestinationKind {
    const first = bytes[at] ?? 0;
    if (first >= 224 && first < 240) return "group";
    const address = bytes.readUInt32BE(at);
    if (address === 0xffff_ffff) return "group";
    if (first === 0 || first === 127 || first >= 240) return "nowhere";
    const mask = this.#networkMask;
    if (mask === 0) return "other";
    const own = Buffer.from(guest).readUInt32BE();
    const host = (address & ~mask) >>> 0;
    const isOnLink = ((address ^ own) & mask) === 0;
    return isOnLink && (host === 0 || host === ~mask >>> 0) ? "group" : "other";
  }
}

function ipv6(bytes: Buffer, at: number): DestinationKind {
  const first = bytes[at] ?? 0;
  if (first === 0xff) return "group";
  // Nobody but the guest has an address for this link alone.
  if (first === 0xfe && ((bytes[at + 1] ?? 0) & 0xc0) === 0x80) return "nowhere";
  return isAt(bytes, at, zeros) && (isUnspecifiedOrLoopback(bytes, at) || isMapped(bytes, at))
    ? "nowhere"
    : "other";
}

const zeros = new Uint8Array(10);

function isUnspecifiedOrLoopback(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32BE(at + 8) === 0 && bytes.readUInt32BE(at + 12) <= 1;
}

/** An IPv4 address in one of IPv6 is not for the wire: it is asked for by IPv4. */
function isMapped(bytes: Buffer, at: number): boolean {
  return bytes.readUInt16BE(at + 10) === 0xffff;
}
