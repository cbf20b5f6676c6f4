import { Cidr } from "../../../host/ip/cidr.ts";
import type { IpAddress } from "../../../host/ip/address.ts";
import { embeddedIpv4 } from "../../policy/embedded-ipv4.ts";
import { wellKnownNat64Prefix } from "../../policy/groups.ts";

/** What no public name should stand for (IANA special-purpose address registries). */
const privateRanges = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::",
  "::1",
  "ff00::/8",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "100::/64",
  "64:ff9b:1::/48",
  "2001:db8::/32",
  "3fff::/20",
];

let ranges: readonly Cidr[] | null = null;

/**
 * Whether a name that stands for it leads to networks that are not public: DNS rebinding. An address that has an IPv4 one inside, such as
 * NAT64's, does so when that one does.
 */
export function isRebinding(address: IpAddress): boolean {
  // Made with the first answer, not when the module is loaded.
  const all = (ranges ??= privateRanges.map(parsed));
  const plain = address.unmapped();
  const inside = embeddedIpv4(plain, [wellKnownNat64Prefix])?.addresses ?? [];
  return [plain, ...inside].some((one) => all.some((range) => range.contains(one)));
}

function parsed(text: string): Cidr {
  const range = Cidr.parse(text);
  if (range === null) throw new RangeError(`${text} is no range`);
  return range;
}
