import { InvalidConfigError } from "../../../errors/index.ts";
import { IpAddress, type Family } from "../../../host/ip/address.ts";
import { Cidr } from "../../../host/ip/cidr.ts";
import { shown } from "../../checks.ts";

/** Values of the guest's network interface. Each throws InvalidConfigError. */

/** Of the other end of the cable: `linkAddresses`. */
const gatewayMac = "02:6d:73:00:00:01";

/** @returns lower case, with colons: `02:6d:73:00:00:02` */
export function checkMac(text: string): string {
  const given: unknown = text;
  const octets = typeof given === "string" ? given.toLowerCase().split(/[:.-]/) : [];
  if (octets.length !== 6 || !octets.every((octet) => /^[0-9a-f]{2}$/.test(octet))) {
    throw new InvalidConfigError(`${shown(given)} is no MAC address`, {
      hint: "Write six hexadecimal octets: 02:6d:73:00:00:02.",
    });
  }
  // IEEE 802: the lowest bit of the first octet marks groups.
  if ((Number.parseInt(octets[0] ?? "", 16) & 1) === 1 || octets.every((octet) => octet === "00")) {
    throw new InvalidConfigError(`${shown(given)} is no MAC address of one interface`, {
      hint: "Make the first octet even, such as 02.",
    });
  }
  const mac = octets.join(":");
  if (mac === gatewayMac) {
    throw new InvalidConfigError(`${mac} is the gateway's MAC address`, {
      hint: "Give the guest another one, such as 02:6d:73:00:00:02.",
    });
  }
  return mac;
}

const longestPrefix: Readonly<Record<Family, number>> = { 4: 30, 6: 64 };

/** A range whose first /30 or /64 is the cable of the guest and its gateway. */
export function checkPool(text: string, family: Family): string {
  const given: unknown = text;
  const range = typeof given === "string" ? Cidr.parse(given) : null;
  const what = `invalid IPv${family} pool \`${typeof given === "string" ? given : shown(given)}\``;
  if (range?.family !== family) {
    throw new InvalidConfigError(`${what}: it is no IPv${family} range`, {
      hint: family === 4 ? "Such as 10.99.0.0/16." : "Such as fd00:1234::/48.",
    });
  }
  if (range.prefix > longestPrefix[family]) {
    throw new InvalidConfigError(`${what}: prefix must be /${longestPrefix[family]} or shorter`, {
      hint: `The cable of guest and gateway is a /${longestPrefix[family]} of it.`,
    });
  }
  refuseUnusable(what, range.address);
  return range.toString();
}

/** The guest's own address; the gateway is the one before it (IPv4), or the first of its /64 (IPv6). */
export function checkOwnAddress(text: string, family: Family): string {
  const given: unknown = text;
  const address = typeof given === "string" ? IpAddress.parse(given) : null;
  const what = `invalid IPv${family} address \`${typeof given === "string" ? given : shown(given)}\``;
  if (address?.family !== family) {
    throw new InvalidConfigError(`${what} of the interface`, {
      hint: family === 4 ? "Such as 10.99.0.2." : "Such as fd00:1234::2.",
    });
  }
  refuseUnusable(what, address);
  if (!leavesGateway(address)) {
    throw new InvalidConfigError(`${what}: it leaves no address for the gateway`, {
      hint:
        family === 4
          ? "The two are the middle of four, a /30, the gateway first: end it in 2, 6, 10 and so on."
          : "The gateway is ::1 of its /64: end it in ::2 or more.",
    });
  }
  return address.toString();
}

/** Whether the gateway's place beside it is free: the first of a /30 (the guest is the second), or ::1 of a /64. */
function leavesGateway({ family, bytes }: IpAddress): boolean {
  if (family === 4) return (bytes[3] ?? 0) % 4 === 2;
  return bytes.subarray(8, 15).some((byte) => byte !== 0) || (bytes[15] ?? 0) > 1;
}

/** Addresses that nobody can have on an interface: RFC 6890. */
const unusable = [
  ...["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"],
  ...["::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
];

function refuseUnusable(what: string, address: IpAddress): void {
  const range = unusable.find((text) => Cidr.parse(text)?.contains(address) === true);
  if (range === undefined) return;
  throw new InvalidConfigError(`${what}: ${range} is no range for interfaces`, {
    hint: "Use a private range, such as 10.99.0.0/16 or fd00:1234::/48.",
  });
}
