import { IpAddress } from "../../host/ip/address.ts";
import type { Cidr } from "../../host/ip/cidr.ts";

/**
 * IPv4 addresses that a packet to an IPv6 address may end at. A rule about IPv4 addresses must mean these too, or IPv6 is a way
 * round it.
 */
export interface EmbeddedIpv4 {
  /** `translated`: it is the same host under another address (NAT64). `tunnelled`: it is asked to pass the packet on. */
  readonly kind: "translated" | "tunnelled";
  /** One, or for Teredo two. */
  readonly addresses: readonly IpAddress[];
}

/** Where the four bytes are, by the length of the prefix (RFC 6052, 2.2): byte 8 is always zero and never one of them. */
const nat64Layout: Readonly<Record<number, readonly [number, number, number, number]>> = {
  32: [4, 5, 6, 7],
  40: [5, 6, 7, 9],
  48: [6, 7, 9, 10],
  56: [7, 9, 10, 11],
  64: [9, 10, 11, 12],
  96: [12, 13, 14, 15],
};

/**
 * Finds the IPv4 addresses in an IPv6 address: NAT64 (RFC 6052), IPv4-translated (RFC 2765), IPv4-compatible (RFC 4291, 2.5.5.1), 6to4
 * (RFC 3056) and Teredo (RFC 4380).
 *
 * @param address no IPv4-mapped one: those are IPv4 addresses
 * @param nat64Prefixes of 32, 40, 48, 56, 64 or 96 bits
 * @returns null when there is none
 */
export function embeddedIpv4(address: IpAddress, nat64Prefixes: readonly Cidr[]): EmbeddedIpv4 | null {
  if (address.family === 4) return null;
  const { bytes } = address;
  for (const prefix of nat64Prefixes) {
    const layout = nat64Layout[prefix.prefix];
    if (layout !== undefined && prefix.contains(address))
      return { kind: "translated", addresses: [pick(bytes, layout)] };
  }
  const first = word(bytes, 0);
  if (first === 0 && word(bytes, 4) === 0) {
    const third = word(bytes, 8);
    // ::ffff:0:a.b.c.d of stateless translators.
    if (third === 0xffff0000) return { kind: "translated", addresses: [IpAddress.of(bytes.subarray(12))] };
    // ::a.b.c.d, which old systems tunnel automatically. :: and ::1 are no such addresses.
    const isCompatible = third === 0 && word(bytes, 12) > 1;
    return isCompatible ? { kind: "tunnelled", addresses: [IpAddress.of(bytes.subarray(12))] } : null;
  }
  if (first >>> 16 === 0x2002) return { kind: "tunnelled", addresses: [IpAddress.of(bytes.subarray(2, 6))] };
  if (first === 0x20010000) {
    // The client's address is stored inverted (RFC 4380, 4): NAT routers would else rewrite it.
    const client = IpAddress.of(bytes.slice(12).map((byte) => byte ^ 0xff));
    return { kind: "tunnelled", addresses: [client, IpAddress.of(bytes.subarray(4, 8))] };
  }
  return null;
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

function pick(bytes: Uint8Array, layout: readonly number[]): IpAddress {
  return IpAddress.of(layout.map((index) => bytes[index] ?? 0));
}
