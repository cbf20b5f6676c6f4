export type Family = 4 | 6;

/** Bytes of an address. */
export const addressBytes: Readonly<Record<Family, number>> = { 4: 4, 6: 16 };

/** An IP address; immutable. Equal ones have the same text: RFC 5952, and four decimal numbers. */
export class IpAddress {
  readonly family: Family;
  /** In network order: 4 or 16. Not to be written to. */
  readonly bytes: Uint8Array;
  #text: string | null = null;

  private constructor(bytes: Uint8Array) {
    this.family = bytes.length === 4 ? 4 : 6;
    this.bytes = bytes;
  }

  /**
   * Reads an address as RFC 4291, 2.2, and RFC 6943, 3.1.1 (strict), write them: four decimal numbers without leading zeros, no zone,
   * no brackets, no blanks.
   *
   * @returns null when it is none
   * @example
   * ```ts
   * IpAddress.parse("::ffff:10.0.0.1")?.unmapped().toString(); // "10.0.0.1"
   * IpAddress.parse("010.0.0.1"); // null
   * ```
   */
  static parse(text: string): IpAddress | null {
    const bytes = text.includes(":") ? sixteenBytes(text) : fourBytes(text);
    return bytes === null ? null : new IpAddress(Uint8Array.from(bytes));
  }

  /** Copies the address that lies in a packet. */
  static read(buffer: Uint8Array, offset: number, family: Family): IpAddress {
    return new IpAddress(Uint8Array.from(buffer.subarray(offset, offset + addressBytes[family])));
  }

  /** @param bytes 4 or 16 of them, copied */
  static of(bytes: ArrayLike<number>): IpAddress {
    if (bytes.length !== 4 && bytes.length !== 16)
      throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
    return new IpAddress(Uint8Array.from(bytes));
  }

  toString(): string {
    return (this.#text ??= this.family === 4 ? this.bytes.join(".") : textOf(this.bytes));
  }

  toJSON(): string {
    return this.toString();
  }

  equals(other: IpAddress): boolean {
    return this.family === other.family && this.toString() === other.toString();
  }

  /** The IPv4 address in an IPv4-mapped one (RFC 4291, 2.5.5.2); else itself. */
  unmapped(): IpAddress {
    if (this.family === 4) return this;
    const { bytes } = this;
    const isMapped =
      bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
    return isMapped ? new IpAddress(bytes.slice(12)) : this;
  }
}

function fourBytes(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

function sixteenBytes(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, index) => groupBytes(half, index === halves.length - 1));
  if (head === undefined || head === null || tail === null) return null;
  if (tail === undefined) return head.length === 16 ? head : null;
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group.
  return missing >= 2 ? [...head, ...new Array<number>(missing).fill(0), ...tail] : null;
}

/** @param isLast an IPv4 address may end it */
function groupBytes(text: string, isLast: boolean): number[] | null {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (isLast && index === groups.length - 1 && group.includes(".")) {
      const four = fourBytes(group);
      if (four === null) return null;
      bytes.push(...four);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return null;
  }
  return bytes;
}

function textOf(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, group) => ((bytes[2 * group] ?? 0) << 8) | (bytes[2 * group + 1] ?? 0),
  );
  // RFC 5952, 5: mapped addresses end in dotted decimal.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${bytes.subarray(12).join(".")}`;
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (longest.length < 2) return hex.join(":");
  const end = longest.start + longest.length;
  return `${hex.slice(0, longest.start).join(":")}::${hex.slice(end).join(":")}`;
}
