import { checkWhole } from "../../checks.ts";
import { checkMac, checkOwnAddress } from "./link-values.ts";
import { largestMtu, smallestMtu } from "../network-defaults.ts";
import type { InterfaceSettings } from "../network-settings.ts";

/**
 * The guest's network interface, where it is not to be as usual. Setters throw InvalidConfigError.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("interface-example")
 *   .image("localhost/base")
 *   .network((n) => n.interface((i) => i.mtu(1500).ipv4("10.99.0.2")))
 *   .build();
 * console.log(network?.interface?.mtu, network?.interface?.ipv4Address); // 1500 10.99.0.2
 * ```
 */
export class InterfaceOverridesBuilder {
  #mac: string | null = null;
  #mtu: number | null = null;
  #ipv4: string | null = null;
  #ipv6: string | null = null;

  /** Six hexadecimal octets with `:`, `-` or `.` between them. By default 02:6d:73:00:00:02, as in every sandbox. */
  mac(address: string): this {
    this.#mac = checkMac(address);
    return this;
  }

  /** Bytes of the largest packet, 1280 to 65520; by default 65520. Others expect 1500, and a lower one costs throughput. */
  mtu(bytes: number): this {
    this.#mtu = checkWhole("mtu", bytes, smallestMtu, largestMtu);
    return this;
  }

  /** The guest's IPv4 address; the gateway gets the one before it. The guest has IPv4 then, whatever the host has. */
  ipv4(address: string): this {
    this.#ipv4 = checkOwnAddress(address, 4);
    return this;
  }

  /** The guest's IPv6 address; the gateway gets ::1 of its /64. The guest has IPv6 then, whatever the host has. */
  ipv6(address: string): this {
    this.#ipv6 = checkOwnAddress(address, 6);
    return this;
  }

  build(): InterfaceSettings {
    return {
      mac: this.#mac,
      mtu: this.#mtu,
      ipv4Address: this.#ipv4,
      ipv6Address: this.#ipv6,
      ipv4Pool: null,
      ipv6Pool: null,
    };
  }
}
