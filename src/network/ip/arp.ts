import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import { prefixBytes } from "../link/frame-buffer.ts";
import type { FrameLink } from "../link/frame-link.ts";
import type { Destinations } from "./destinations.ts";
import { etherTypes, ethernetBytes, isAt, writeEthernet } from "./ethernet.ts";
import type { Outcome } from "./outcomes.ts";

/** Of an ARP packet for IPv4 over Ethernet (RFC 826). */
const arpBytes = 28;
/** Ethernet, IPv4, lengths of 6 and 4. */
const kinds = Uint8Array.of(0, 1, 8, 0, 6, 4);
const request = 1;
const reply = 2;
const noAddress = new Uint8Array(4);

/**
 * Answers that every address but the guest's own is at the gateway, so a route "on the link" leads nowhere else than the default one does.
 * A probe, which asks whether an address is free (RFC 5227), is told that the gateway's is not, and nothing about others. Nothing is learnt: where the guest is, is known.
 */
export class ArpResponder {
  readonly #addresses: LinkAddresses;
  readonly #link: FrameLink;
  readonly #destinations: Destinations;

  constructor(addresses: LinkAddresses, link: FrameLink, destinations: Destinations) {
    this.#addresses = addresses;
    this.#link = link;
    this.#destinations = destinations;
  }

  handle(bytes: Buffer, at: number, end: number): Outcome {
    const { ipv4, guestMac, gatewayMac } = this.#addresses;
    if (ipv4 === null) return "ignored";
    if (end - at < arpBytes || !isAt(bytes, at, kinds)) return "arp";
    const operation = bytes.readUInt16BE(at + 6);
    if (operation === reply) return "ignored";
    if (operation !== request || !isAt(bytes, at + 8, guestMac)) return "arp";
    const isProbe = isAt(bytes, at + 14, noAddress);
    if (!isProbe && !isAt(bytes, at + 14, ipv4.guest.bytes)) return "arp";
    const kind = this.#destinations.kind(4, bytes, at + 24);
    const isOurs = kind === "gateway" || (kind === "other" && !isProbe);
    if (!isOurs || this.#link.isCongested) return "ignored";

    const answer = Buffer.alloc(prefixBytes + ethernetBytes + arpBytes);
    const body = prefixBytes + ethernetBytes;
    writeEthernet(answer, prefixBytes, guestMac, gatewayMac, etherTypes.arp);
    answer.set(kinds, body);
    answer.writeUInt16BE(reply, body + 6);
    answer.set(gatewayMac, body + 8);
    bytes.copy(answer, body + 14, at + 24, at + 28);
    answer.set(guestMac, body + 18);
    bytes.copy(answer, body + 24, at + 14, at + 18);
    this.#link.send(answer, []);
    return "answered";
  }
}
