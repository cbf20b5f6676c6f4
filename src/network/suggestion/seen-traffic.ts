import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { IpAddress } from "../../host/ip/address.ts";
import type { DnsAnswered, FlowClosed, FlowOpened, NetworkLogEvent } from "../events.ts";
import { Uses } from "./uses.ts";

const dnsPort = 53;

/** What one address was used for. */
interface SeenAddress {
  readonly address: IpAddress;
  readonly uses: Uses;
  /** Names that DNS gave it. */
  readonly names: Set<string>;
  /** What it was used for by each name that flows tell: that of TLS, or one that DNS gave it then. */
  readonly byFlowName: Map<string, Uses>;
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
  /** Whether it had more rules than the events tell. */
  isPolicyCut = false;

  add(event: NetworkLogEvent): void {
    switch (event.kind) {
      case "flow-opened":
      case "flow-closed":
        if (event.direction === "ingress") return;
        if (event.group === "host") this.host.add(event.protocol, event.port);
        else this.#addFlow(event);
        return;
      case "dns":
        this.#addAnswer(event);
        return;
      case "policy":
        this.policy = event.policy;
        this.isPolicyCut = (event.rulesLeftOut ?? 0) > 0;
        return;
      // Of flows that are told of by themselves.
      case "http":
      case "secret-problem":
      case "secret-violation":
      case "tls-failed":
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

  #addFlow({ address, protocol, port, name }: FlowOpened | FlowClosed): void {
    const seen = this.#at(address);
    seen?.uses.add(protocol, port);
    if (seen === null || name === null) return;
    let uses = seen.byFlowName.get(name);
    if (uses === undefined) seen.byFlowName.set(name, (uses = new Uses()));
    uses.add(protocol, port);
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
      this.#addresses.set(
        key,
        (seen = { address, uses: new Uses(), names: new Set(), byFlowName: new Map() }),
      );
    return seen;
  }
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  return one.length - other.length || Buffer.compare(one, other);
}
