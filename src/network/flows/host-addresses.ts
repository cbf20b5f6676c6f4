import { networkInterfaces } from "node:os";
import { Cidr } from "../../host/ip/cidr.ts";
import { IpAddress } from "../../host/ip/address.ts";

/** The list of interfaces is read anew after so long: an address that the host has just got is the host's by then. */
const freshMs = 2000;

/**
 * Where nothing is sent whatever the policy says. A host takes its loopback and "this network" (0.0.0.0 is itself, on Linux) for its own
 * services; the guest's loopback never leaves the guest, and the host's is reached through the gateway's address. Multicast and broadcast
 * do not leave the cable. Link-local addresses of IPv6 mean nothing without an interface.
 */
const nowhere = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "224.0.0.0/4",
  "255.255.255.255",
  "::",
  "::1",
  "ff00::/8",
  "fe80::/10",
].map((text) => Cidr.parse(text));
/** IPv4-compatible addresses (RFC 4291, 2.5.5.1; long given up) and translations (RFC 2765): no part of the Internet has them. */
const odd = ["::/96", "::ffff:0:0:0/96"].map((text) => Cidr.parse(text));

/** @param address without a mapping: {@link IpAddress.unmapped} */
export function leadsNowhere(address: IpAddress): boolean {
  return (
    nowhere.some((range) => range?.contains(address) === true) ||
    odd.some((range) => range?.contains(address) === true)
  );
}

/**
 * Addresses of the host's own interfaces: what is connected there is the host itself, past its firewall. Those of loopback interfaces are
 * nobody's that comes from outside, and do not count.
 */
export class HostAddresses {
  readonly #read: () => ReturnType<typeof networkInterfaces>;
  readonly #now: () => number;
  #known = new Set<string>();
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(
    read: () => ReturnType<typeof networkInterfaces> = networkInterfaces,
    now: () => number = performance.now.bind(performance),
  ) {
    this.#read = read;
    this.#now = now;
  }

  has(address: IpAddress): boolean {
    const now = this.#now();
    if (now - this.#readAt > freshMs) {
      this.#readAt = now;
      try {
        this.#known = setOf(this.#read());
      } catch {
        // Without descriptors they cannot be read: what they were is the best that is known.
      }
    }
    return this.#known.has(address.toString());
  }
}

function setOf(interfaces: ReturnType<typeof networkInterfaces>): Set<string> {
  return new Set(
    Object.values(interfaces).flatMap((list) =>
      (list ?? []).flatMap(({ internal, address: text }) => {
        const parsed = internal ? null : IpAddress.parse(text);
        return parsed?.unmapped().toString() ?? [];
      }),
    ),
  );
}
