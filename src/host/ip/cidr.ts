import { addressBytes, IpAddress, type Family } from "./address.ts";

/** A range of addresses (RFC 4632). What is behind the prefix is zero. */
export class Cidr {
  readonly address: IpAddress;
  /** Bits, 0 to 32 or 128. */
  readonly prefix: number;

  private constructor(address: IpAddress, prefix: number) {
    this.address = address;
    this.prefix = prefix;
  }

  /**
   * @param text `10.0.0.0/8`, `fd00::/8`, or an address alone: all of its bits. Bits behind the prefix are cleared.
   * @returns null when it is no range
   */
  static parse(text: string): Cidr | null {
    const [base = "", bits, ...more] = text.split("/");
    const address = IpAddress.parse(base);
    if (address === null || more.length > 0) return null;
    const length = addressBytes[address.family] * 8;
    if (bits === undefined) return new Cidr(address, length);
    if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > length) return null;
    return Cidr.of(address, Number(bits));
  }

  static of(address: IpAddress, prefix: number): Cidr {
    const bytes = address.bytes.map((byte, index) => byte & maskOf(prefix, index));
    return new Cidr(IpAddress.of(bytes), prefix);
  }

  get family(): Family {
    return this.address.family;
  }

  get isOneAddress(): boolean {
    return this.prefix === addressBytes[this.family] * 8;
  }

  /** Of the same family only: whoever means the address inside a mapped one asks for that. */
  contains({ family, bytes }: IpAddress): boolean {
    if (family !== this.family) return false;
    return this.address.bytes.every(
      (byte, index) => ((bytes[index] ?? 0) & maskOf(this.prefix, index)) === byte,
    );
  }

  /** Whether it has all of the other one. */
  covers(other: Cidr): boolean {
    return other.prefix >= this.prefix && this.contains(other.address);
  }

  toString(): string {
    return `${this.address.toString()}/${this.prefix}`;
  }
}

function maskOf(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - 8 * index));
  return (0xff00 >> bits) & 0xff;
}
