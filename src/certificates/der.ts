/**
 * Writes and reads the few parts of DER that certificates are made of (ITU-T X.690; RFC 5280, 4.1 and A.1). What is written here is read by
 * OpenSSL and by Node in the tests.
 */

/** Tags of universal types, and that of the explicit `[3]`. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A value with its tag and length. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(tags.sequence, ...parts);
}

/** @param number.contextual as in `[number]`, constructed: explicit, or implicit of a constructed type */
export function contextual(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return element(0xa0 | number, ...parts);
}

/** `[number]`, implicit, of a type that is not constructed. */
export function contextualPrimitive(number: number, content: Uint8Array): Buffer {
  return element(0x80 | number, content);
}

/** @param bytes of a number that is not negative, most significant first */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  const isNegativeOtherwise = ((digits[0] ?? 0) & 0x80) !== 0;
  return element(tags.integer, isNegativeOtherwise ? Buffer.from([0]) : Buffer.alloc(0), digits);
}

/** @param dotted `1.2.840.10045.4.3.2` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return element(tags.objectIdentifier, Buffer.from(bytes));
}

export function utf8String(text: string): Buffer {
  return element(tags.utf8String, Buffer.from(text));
}

export function octetString(content: Uint8Array): Buffer {
  return element(tags.octetString, content);
}

/** @param unused bits at the end that do not count */
export function bitString(content: Uint8Array, unused = 0): Buffer {
  return element(tags.bitString, Buffer.from([unused]), content);
}

export const yes: Buffer = element(tags.boolean, Buffer.from([0xff]));

/** A moment, to the second: UTCTime until 2049, as RFC 5280, 4.1.2.5 wants it. */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? element(tags.utcTime, Buffer.from(digits.slice(2)))
    : element(tags.generalizedTime, Buffer.from(digits));
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

/** An element as it was read. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

/**
 * The elements that lie one behind the other.
 *
 * @throws RangeError when one is cut off, or is longer than a certificate can be
 */
export function elementsOf(bytes: Buffer): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4 || first === 0x80) throw new RangeError("a length of DER that no certificate has");
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    const start = at + 2 + lengthBytes;
    const end = start + length;
    if (end > bytes.length) throw new RangeError("DER that is cut off");
    elements.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return elements;
}
