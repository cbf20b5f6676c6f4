/**
 * What became of a frame of the guest; each has exactly one. All but `delivered`, `answered`, `kept` and `ignored` mean that it was dropped
 * because something was wrong with it.
 */
export const outcomes = [
  /** Given to whoever takes its protocol. */
  "delivered",
  /** By this layer: ARP, neighbour discovery, echo, an error for what nobody takes. */
  "answered",
  /** A fragment, until the others have come. */
  "kept",
  /** What a guest sends and no router needs: RARP, multicast, router solicitations, unsolicited advertisements. */
  "ignored",
  /** A source that is not the guest's own MAC address. */
  "source-mac",
  /** A destination that is neither the gateway's MAC address nor that of a group, or the MAC of a group before a single address. */
  "destination-mac",
  /** Neither IP nor ARP. */
  "ethertype",
  /** An ARP packet that is malformed or tells other addresses than the guest's. */
  "arp",
  /** Neighbour discovery: malformed, or not from this link. */
  "ndp",
  /** A version, length or reserved bit of an IP header. */
  "ip-header",
  "ip-checksum",
  /** A malformed option, or one that has to be known. */
  "ip-option",
  /** Source routing, of either version. */
  "source-route",
  /** Too many extension headers, or one in the wrong place. */
  "extension-header",
  /** A source that is not the guest's own address. */
  "source-address",
  /** A destination that is nowhere, or on no other machine: 0.0.0.0/8, 127.0.0.0/8, 240.0.0.0/4, ::, ::1, IPv4-mapped, link-local IPv6, the guest. */
  "destination-address",
  /** It ended here, or had ended before. */
  "hop-limit",
  /** Overlapping, contradictory, too many. */
  "fragment",
  /** Nobody takes the protocol. */
  "protocol",
  /** An ICMP packet that is malformed or has a wrong checksum. */
  "icmp",
] as const;

export type Outcome = (typeof outcomes)[number];

export type OutcomeCounts = Readonly<Record<Outcome, number>>;

export function noOutcomes(): Record<Outcome, number> {
  return Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
}
