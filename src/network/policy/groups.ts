import type { DestinationGroup } from "../../config/network/policy-type.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { embeddedIpv4 } from "./embedded-ipv4.ts";

/** What a sandbox's groups depend on besides the address. */
export interface GroupContext {
  /** The gateway's own addresses, of either family: they are the group `host`. */
  readonly gateways: readonly IpAddress[];
  /** Behind which the host's network translates to IPv4; of 32, 40, 48, 56, 64 or 96 bits. */
  readonly nat64Prefixes: readonly Cidr[];
}

/** `64:ff9b::/96` (RFC 6052, 2.1). */
export const wellKnownNat64Prefix: Cidr = range("64:ff9b::/96");

/** AWS gives its metadata by IPv6 too. It lies in fc00::/7, so whoever allows `private` would allow it. */
const ipv6Metadata = range("fd00:ec2::254");
/** Translated by an operator's own rules (RFC 8215), so what is behind it is the operator's own. */
const localNat64 = range("64:ff9b:1::/48");

/**
 * The one group that an address is in. IPv4-mapped addresses are IPv4 addresses. One that leads to an IPv4 address (NAT64, 6to4,
 * Teredo and the like) is in the group of that one.
 *
 * @returns null for `0.0.0.0` and `::`, which no group has
 */
export function classify(address: IpAddress, context: GroupContext): DestinationGroup | null {
  const plain = address.unmapped();
  if (context.gateways.some((gateway) => isSame(gateway, plain))) return "host";
  return plain.family === 4 ? ipv4Group(plain.bytes) : ipv6Group(plain, context.nat64Prefixes);
}

function ipv4Group(bytes: Uint8Array): DestinationGroup | null {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  switch (a) {
    case 0:
      return b === 0 && c === 0 && d === 0 ? null : "public";
    case 10:
      return "private";
    case 100:
      return b >= 64 && b < 128 ? "private" : "public";
    case 127:
      return "loopback";
    case 169:
      if (b !== 254) return "public";
      return c === 169 && d === 254 ? "metadata" : "link-local";
    case 172:
      return b >= 16 && b < 32 ? "private" : "public";
    case 192:
      return b === 168 ? "private" : "public";
    default:
      return a >= 224 && a < 240 ? "multicast" : "public";
  }
}

function ipv6Group(address: IpAddress, nat64Prefixes: readonly Cidr[]): DestinationGroup | null {
  const [a = 0, b = 0] = address.bytes;
  if ((a & 0xfe) === 0xfc) return ipv6Metadata.contains(address) ? "metadata" : "private";
  if (a === 0xff) return "multicast";
  // fe80::/10, and fec0::/10: the private addresses of before fc00::/7 (RFC 3879).
  if (a === 0xfe && b >= 0x80) return b < 0xc0 ? "link-local" : "private";
  if (a === 0) {
    const end = address.bytes[15] ?? 0;
    if (end <= 1 && address.bytes.subarray(0, 15).every((byte) => byte === 0))
      return end === 0 ? null : "loopback";
  }
  const embedded = embeddedIpv4(address, nat64Prefixes);
  if (embedded === null) return localNat64.contains(address) ? "private" : "public";
  // Public only when all of them are. None of them is this sandbox's gateway: what is translated or tunnelled has left the host.
  const groups = embedded.addresses.map(({ bytes }) => ipv4Group(bytes));
  const other = groups.find((group) => group !== "public");
  return other === undefined ? "public" : other;
}

function isSame(one: IpAddress, other: IpAddress): boolean {
  const { bytes } = other;
  return one.family === other.family && one.bytes.every((byte, index) => byte === bytes[index]);
}

function range(text: string): Cidr {
  const cidr = Cidr.parse(text);
  if (cidr === null) throw new TypeError(`${text} is no range`);
  return cidr;
}
