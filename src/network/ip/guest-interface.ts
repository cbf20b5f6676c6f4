import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { FrameLink } from "../link/frame-link.ts";
import { ArpResponder } from "./arp.ts";
import { Destinations } from "./destinations.ts";
import { ethernetBytes, etherTypes, isAt, isGroupMac } from "./ethernet.ts";
import { FragmentReassembly } from "./fragments.ts";
import { answerEcho, isEchoRequest } from "./icmp-echo.ts";
import { IcmpErrors } from "./icmp-errors.ts";
import { readIpv4 } from "./ipv4.ts";
import { readIpv6 } from "./ipv6.ts";
import { isForLink, NeighbourResponder } from "./ndp.ts";
import { noOutcomes, type Outcome, type OutcomeCounts } from "./outcomes.ts";
import { PacketSender } from "./packet-sender.ts";
import { protocolNumbers, type IpPacket, type PacketHandler } from "./packet.ts";
import { ReceivedPacket } from "./received-packet.ts";
import { isUpperChecksumRight } from "./upper-checksum.ts";

export interface GuestInterfaceOptions {
  readonly link: FrameLink;
  readonly addresses: LinkAddresses;
  /** Whether this echo request to the gateway is answered; if not, nothing is said. */
  readonly answersEcho: (packet: IpPacket) => boolean;
}

/**
 * The gateway's side of the guest's cable, from Ethernet to IP: answers ARP, neighbour discovery and echo to the gateway, checks every
 * header, puts fragments together and gives packets to whoever takes their protocol. A frame that is wrong costs only itself.
 */
export class GuestInterface {
  readonly sender: PacketSender;
  readonly errors: IcmpErrors;
  readonly #link: FrameLink;
  readonly #addresses: LinkAddresses;
  readonly #answersEcho: (packet: IpPacket) => boolean;
  readonly #destinations: Destinations;
  readonly #arp: ArpResponder;
  readonly #neighbours: NeighbourResponder;
  readonly #fragments = new FragmentReassembly();
  readonly #handlers = new Map<number, PacketHandler>();
  readonly #counts = noOutcomes();
  readonly #packet = new ReceivedPacket();
  #expiry: NodeJS.Timeout | null = null;

  constructor({ link, addresses, answersEcho }: GuestInterfaceOptions) {
    this.#link = link;
    this.#addresses = addresses;
    this.#answersEcho = answersEcho;
    this.sender = new PacketSender(addresses, link);
    this.errors = new IcmpErrors(addresses, this.sender);
    this.#destinations = new Destinations(addresses);
    this.#arp = new ArpResponder(addresses, link, this.#destinations);
    this.#neighbours = new NeighbourResponder(addresses, link, this.#destinations);
  }

  /** What became of the frames so far: together, as many as the link has taken. */
  get outcomes(): OutcomeCounts {
    return this.#counts;
  }

  /** For the fragments that wait. */
  get heldFragments(): { readonly bytes: number; readonly sets: number } {
    return this.#fragments.held;
  }

  /**
   * Gives the packets of a protocol to a handler, the only one for it. What comes is for the gateway or for somebody outside, and can be passed on a hop. ICMP comes
   * with a right checksum, without echo to the gateway; the checksums of other protocols are for the handler to check ({@link isUpperChecksumRight}).
   */
  on(protocol: number, handler: PacketHandler): void {
    this.#handlers.set(protocol, handler);
  }

  /** Takes frames from now on. */
  start(): void {
    this.#link.start((bytes, at, end) => {
      let outcome: Outcome = "delivered";
      try {
        outcome = this.#frame(bytes, at, end);
      } finally {
        this.#counts[outcome]++;
      }
    });
  }

  /** Forgets what waits, and closes the link. */
  close(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    this.#fragments.clear();
    this.#link.close();
  }

  #frame(bytes: Buffer, at: number, end: number): Outcome {
    const { guestMac, gatewayMac } = this.#addresses;
    if (!isAt(bytes, at + 6, guestMac)) return "source-mac";
    const isForGroup = isGroupMac(bytes, at);
    if (!isForGroup && !isAt(bytes, at, gatewayMac)) return "destination-mac";
    const body = at + ethernetBytes;
    switch (bytes.readUInt16BE(at + 12)) {
      case etherTypes.ipv4:
        return this.#ipv4(bytes, body, end, isForGroup, true);
      case etherTypes.ipv6:
        return this.#ipv6(bytes, body, end, isForGroup, true);
      case etherTypes.arp:
        return this.#arp.handle(bytes, body, end);
      case etherTypes.rarp:
        return "ignored";
      default:
        return "ethertype";
    }
  }

  #ipv4(bytes: Buffer, at: number, end: number, isForGroup: boolean, mayBeFragment: boolean): Outcome {
    const packet = this.#packet;
    const own = this.#addresses.ipv4;
    if (own === null) return "ignored";
    const wrong = readIpv4(packet, bytes, at, end);
    if (wrong !== null && wrong !== "source-route") return wrong;
    if (!isAt(bytes, packet.sourceAt, own.guest.bytes)) return "source-address";
    if (wrong === null) return this.#route(packet, isForGroup, mayBeFragment);
    if (!isForGroup) this.errors.sourceRouteRefused(packet, packet.problemAt - at);
    return wrong;
  }

  #ipv6(bytes: Buffer, at: number, end: number, isForGroup: boolean, mayBeFragment: boolean): Outcome {
    const packet = this.#packet;
    const own = this.#addresses.ipv6;
    if (own === null) return "ignored";
    const wrong = readIpv6(packet, bytes, at, end);
    const isHeaderThere = wrong !== "ip-header";
    if (wrong === null && !packet.isFragment && isForLink(packet)) {
      // Never in fragments (RFC 6980).
      const mayBe = mayBeFragment && !packet.hasFragmentHeader;
      return mayBe ? this.#neighbours.handle(packet) : "ndp";
    }
    if (isHeaderThere && !isAt(bytes, packet.sourceAt, own.guest.bytes)) return "source-address";
    if (wrong === null) return this.#route(packet, isForGroup, mayBeFragment);
    if (isForGroup) return wrong;
    if (wrong === "source-route") this.errors.sourceRouteRefused(packet, packet.problemAt - at);
    if (packet.asksForError) this.errors.optionUnknown(packet, packet.problemAt - at);
    return wrong;
  }

  /** Headers and source are right. */
  #route(packet: ReceivedPacket, isForGroup: boolean, mayBeFragment: boolean): Outcome {
    const kind = this.#destinations.kind(packet.family, packet.buffer, packet.destinationAt);
    if (kind === "group") return "ignored";
    if (isForGroup) return "destination-mac";
    const isFirst = !packet.isFragment || packet.fragmentOffset === 0;
    if (kind === "nowhere" || kind === "guest") {
      if (isFirst) this.errors.unreachable(packet, "prohibited");
      return "destination-address";
    }
    if (packet.hopLimit === 0) return "hop-limit";
    if (packet.hopLimit === 1 && kind !== "gateway") {
      if (isFirst) this.errors.timeExceeded(packet, "hops");
      return "hop-limit";
    }
    if (packet.isFragment) return mayBeFragment ? this.#fragment(packet) : "fragment";
    return this.#deliver(packet, kind === "gateway");
  }

  #deliver(packet: ReceivedPacket, isForGateway: boolean): Outcome {
    const { protocol, family } = packet;
    const isIcmp = protocol === (family === 4 ? protocolNumbers.icmpv4 : protocolNumbers.icmpv6);
    if (isIcmp) {
      if (packet.end - packet.payloadAt < 8 || !isUpperChecksumRight(packet)) return "icmp";
      if (isForGateway && isEchoRequest(packet)) {
        if (!this.#answersEcho(packet)) return "delivered";
        answerEcho(packet, this.sender);
        return "answered";
      }
    }
    const handler = this.#handlers.get(protocol);
    if (handler !== undefined && isOfFamily(packet)) {
      handler(packet);
      return "delivered";
    }
    if (isIcmp) return "ignored";
    this.errors.protocolUnknown(packet, packet.protocolAt - packet.at);
    return "protocol";
  }

  #fragment(packet: ReceivedPacket): Outcome {
    const whole = this.#fragments.add(packet, performance.now());
    if (whole === "rejected") return "fragment";
    if (whole === "kept") {
      this.#expireLater();
      return "kept";
    }
    return packet.family === 4
      ? this.#ipv4(whole, 0, whole.length, false, false)
      : this.#ipv6(whole, 0, whole.length, false, false);
  }

  readonly #expire = (): void => {
    this.#expiry = null;
    for (const beginning of this.#fragments.expire(performance.now())) {
      if (beginning === null) continue;
      const packet = this.#packet;
      const wrong =
        (beginning[0] ?? 0) >> 4 === 4
          ? readIpv4(packet, beginning, 0, beginning.length)
          : readIpv6(packet, beginning, 0, beginning.length);
      if (wrong === null) this.errors.timeExceeded(packet, "fragments");
    }
    this.#expireLater();
  };

  #expireLater(): void {
    const next = this.#fragments.nextExpiry;
    if (next !== null) this.#expiry ??= setTimeout(this.#expire, Math.ceil(next - performance.now())).unref();
  }
}

/** ICMP of one version in the other is neither. */
function isOfFamily({ protocol, family }: IpPacket): boolean {
  return protocol !== (family === 4 ? protocolNumbers.icmpv6 : protocolNumbers.icmpv4);
}
