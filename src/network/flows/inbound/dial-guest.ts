import type { LinkAddresses } from "../../../config/network/link-addresses.ts";
import type { IpAddress } from "../../../host/ip/address.ts";
import type { TcpConnection, TcpHandler, TcpStack } from "../../tcp/connection.ts";

export interface DialGuestOptions {
  readonly tcp: TcpStack;
  readonly addresses: LinkAddresses;
}

/** Whom a connection to the guest belongs to. */
export interface GuestDialer extends TcpHandler {
  /** The connection that is being made: another one when the guest refused the first. */
  dialing(connection: TcpConnection): void;
}

/**
 * Connects to a port of the guest, from a port of the gateway (49152 or above): by IPv4, and when the guest refuses that by IPv6, for
 * servers that have one of them.
 *
 * @returns false when that cannot be begun: all ports of the gateway are in use, or the guest has no address
 */
export function dialGuest(options: DialGuestOptions, guestPort: number, dialer: GuestDialer): boolean {
  const { ipv4, ipv6 } = options.addresses;
  const gateways = [ipv4, ipv6].flatMap((family) => (family === null ? [] : [family.gateway]));
  return new GuestDial(options, guestPort, dialer, gateways).next();
}

/** Passes on to the dialer what comes of the connection that was had. */
class GuestDial implements TcpHandler {
  readonly #options: DialGuestOptions;
  readonly #guestPort: number;
  readonly #dialer: GuestDialer;
  readonly #gateways: IpAddress[];
  #isEstablished = false;

  constructor(options: DialGuestOptions, guestPort: number, dialer: GuestDialer, gateways: IpAddress[]) {
    this.#options = options;
    this.#guestPort = guestPort;
    this.#dialer = dialer;
    this.#gateways = gateways;
  }

  /** Tries the next family. */
  next(): boolean {
    const address = this.#gateways.shift();
    if (address === undefined) return false;
    try {
      this.#dialer.dialing(this.#options.tcp.connect({ address, port: 0 }, this.#guestPort, this));
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
    return true;
  }

  established(): void {
    this.#isEstablished = true;
    this.#dialer.established?.();
  }

  data(bytes: Buffer): void {
    this.#dialer.data(bytes);
  }

  ended(): void {
    this.#dialer.ended();
  }

  drained(): void {
    this.#dialer.drained();
  }

  acknowledged(bytes: number): void {
    this.#dialer.acknowledged(bytes);
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    if (how === "reset" && !this.#isEstablished && this.next()) return;
    this.#dialer.closed(how);
  }
}
