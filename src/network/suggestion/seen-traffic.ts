import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { IpAddress } from "../../host/ip/address.ts";
import type { DnsAnswered, NetworkLogEvent } from "../events.ts";
import { Uses } from "./uses.ts";

const dnsPort = 53;

/** What one address was used for. */
interface SeenAddress {
  readonly address: IpAddress;
  readonly uses: Uses;
  /** Names that DNS gave it. */
  readonly names: Set<string>;
}

/** What a sandbox has sent, as its events tell. What was denied is not in it: nobody has asked to allow that. */
export class SeenTraffic {
  /** To the gateway, which is the host. */
  readonly host: Uses = new Uses();
  readonly #addresses = new Map<string, SeenAddress>();
  /** Names that were asked for and exist. */
  readonly asked: Set<string> = new Set<string>();
  /** Of the sandbox: the last one that the events tell of. */
  policy: NetworkPolicy | null = null;

  add(event: NetworkLogEvent): void {
    switch (event.kind) {
      case "flow-opened":
      case "flow-closed":
        if (event.direction === "ingress") return;
        if (event.group === "host") this.host.add(event.protocol, event.port);
        else this.#at(event.address)?.uses.add(event.protocol, event.port);
        return;
      case "dns":
        this.#addAnswer(event);
        return;
      case "policy":
        this.policy = event.policy;
        return;
      case "flow-denied":
      case "lost":
        return;
    }
  }

  /** Addresses that were used, by number, IPv4 first. */
  get addresses(): readonly SeenAddress[] {
    return [...this.#addresses.values()]
      .filter(({ uses }) => !uses.isEmpty)
      .sort((one, other) => compareBytes(one.address.bytes, other.address.bytes));
  }

  #addAnswer({ name, outcome, rcode, addresses, resolver, transport }: DnsAnswered): void {
    if (outcome === "denied" || outcome === "limited") return;
    if (resolver !== null) this.#at(resolver)?.uses.add(transport, dnsPort);
    // A name that is denied is answered as one that does not exist, so such a name needs nothing.
    if (rcode !== "NOERROR") return;
    this.asked.add(name);
    for (const address of addresses) this.#at(address)?.names.add(name);
  }

  #at(text: string): SeenAddress | null {
    const address = IpAddress.parse(text)?.unmapped();
    if (address === undefined) return null;
    const key = address.toString();
    let seen = this.#addresses.get(key);
    if (seen === undefined)
      this.#addresses.set(key, (seen = { address, uses: new Uses(), names: new Set() }));
    return seen;
  }
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  return one.length - other.length || Buffer.compare(one, other);
}
