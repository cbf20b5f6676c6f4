import { IpAddress, type Family } from "../../host/ip/address.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import type { InterfaceConfig } from "./network-type.ts";

/** The two ends of the guest's cable in one family. */
export interface LinkAddress {
  readonly guest: IpAddress;
  readonly gateway: IpAddress;
  /** Bits. */
  readonly prefix: number;
}

/** Where the two ends of the guest's cable are. */
export interface LinkAddresses {
  /** Six bytes. */
  readonly guestMac: Uint8Array;
  readonly gatewayMac: Uint8Array;
  /** null: the guest has none of that family. */
  readonly ipv4: LinkAddress | null;
  readonly ipv6: LinkAddress | null;
  /** Bytes of an IP packet. */
  readonly mtu: number;
}

/** Bits of the network that a cable is; the first one of the pool. */
const cablePrefix: Readonly<Record<Family, number>> = { 4: 30, 6: 64 };

/**
 * The addresses of a sandbox. All have the same unless they are told otherwise: no cable leads from one to another, what is saved in a
 * template fits all of them, and a copy of a running one keeps its connections.
 *
 * @param families that the host has a way out for; an address that was set is there in any case
 */
export function linkAddresses(config: InterfaceConfig, families: readonly Family[]): LinkAddresses {
  const mac = (last: number): Uint8Array => Uint8Array.of(2, 0x6d, 0x73, 0, 0, last);
  const has = (family: Family, explicit: string | null): boolean =>
    explicit !== null || families.includes(family);
  return {
    guestMac: config.mac === null ? mac(2) : macBytes(config.mac),
    gatewayMac: mac(1),
    ipv4: has(4, config.ipv4Address) ? ofFamily(config.ipv4Address, config.ipv4Pool) : null,
    ipv6: has(6, config.ipv6Address) ? ofFamily(config.ipv6Address, config.ipv6Pool) : null,
    mtu: config.mtu,
  };
}

/** @param text six hexadecimal octets with `:`, `-` or `.` between them, found valid before */
export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(/[:.-]/), (octet) => Number.parseInt(octet, 16));
}

function ofFamily(explicit: string | null, pool: string): LinkAddress {
  if (explicit !== null) return ofExplicit(IpAddress.parse(explicit));
  const range = Cidr.parse(pool);
  if (range === null) throw new RangeError(`${pool} is no range of addresses`);
  const prefix = cablePrefix[range.family];
  return { gateway: plus(range.address, 1n), guest: plus(range.address, 2n), prefix };
}

/** IPv4: the gateway is the address before it; IPv6: the first one of its network. */
function ofExplicit(guest: IpAddress | null): LinkAddress {
  if (guest === null) throw new RangeError("it is no address");
  const prefix = cablePrefix[guest.family];
  const gateway = guest.family === 4 ? plus(guest, -1n) : plus(Cidr.of(guest, prefix).address, 1n);
  return { guest, gateway, prefix };
}

function plus(address: IpAddress, distance: bigint): IpAddress {
  const { length } = address.bytes;
  let rest = BigInt(`0x${Buffer.from(address.bytes).toString("hex")}`) + distance;
  const bytes = new Uint8Array(length);
  for (let index = length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return IpAddress.of(bytes);
}
