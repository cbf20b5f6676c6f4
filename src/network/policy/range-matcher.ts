import type { IpAddress } from "../../host/ip/address.ts";
import type { Cidr } from "../../host/ip/cidr.ts";

/** An address as 32-bit words: one, or four. What is compared for each datagram is compared by words. */
export type AddressWords = readonly number[];

export function wordsOf(address: IpAddress): AddressWords {
  return words(address.bytes);
}

/** Whether an address is in a range; both of the same family. */
export class RangeMatcher {
  readonly #base: AddressWords;
  readonly #masks: AddressWords;

  /** A range of IPv4-mapped addresses is the range of IPv4 addresses that they are. */
  constructor(cidr: Cidr) {
    const plain = cidr.prefix >= 96 ? cidr.address.unmapped() : cidr.address;
    const prefix = plain.family === cidr.family ? cidr.prefix : cidr.prefix - 96;
    this.#base = words(plain.bytes);
    this.#masks = this.#base.map((_, index) => maskOf(prefix - 32 * index));
  }

  matches(address: AddressWords): boolean {
    const base = this.#base;
    if (address.length !== base.length) return false;
    for (let index = 0; index < base.length; index++)
      if ((((address[index] ?? 0) ^ (base[index] ?? 0)) & (this.#masks[index] ?? 0)) !== 0) return false;
    return true;
  }
}

function words(bytes: Uint8Array): AddressWords {
  const result: number[] = [];
  for (let at = 0; at < bytes.length; at += 4)
    result.push(
      ((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0),
    );
  return result;
}

/** A shift by 32 does nothing in JavaScript, so a prefix of no bits is a case of its own. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : -1 << (32 - Math.min(bits, 32));
}
