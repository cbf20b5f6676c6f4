import { ImageError } from "../../errors/index.ts";

/** A tar header block, taken apart but not interpreted. Strings are bytes as Latin-1: tar names have no encoding. */
export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow. */
  readonly size: number;
  /** Seconds since 1970, may be negative. */
  readonly mtime: number;
  /** One character; NUL in archives of version 7. */
  readonly type: string;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

/**
 * @param block 512 bytes
 * @throws ImageError for a wrong checksum or a number that is none
 */
export function parseHeader(block: Buffer): RawHeader {
  checkChecksum(block);
  const posix = block.toString("latin1", 257, 263) === "ustar\0";
  const gnu = block.toString("latin1", 257, 265) === "ustar  \0";
  const prefix = posix ? readString(block, 345, 155) : "";
  const name = readString(block, 0, 100);
  const typeByte = block[156] ?? 0;
  const size = readNumber(block, 124, 12, "size");
  if (size < 0) throw new ImageError("a tar entry has a negative size");
  const devices = posix || gnu;
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: readNumber(block, 100, 8, "mode"),
    uid: readNumber(block, 108, 8, "uid"),
    gid: readNumber(block, 116, 8, "gid"),
    size,
    mtime: readNumber(block, 136, 12, "mtime"),
    type: String.fromCharCode(typeByte),
    linkName: readString(block, 157, 100),
    // Version 7 headers end before these fields.
    major: devices ? readNumber(block, 329, 8, "device number") : 0,
    minor: devices ? readNumber(block, 337, 8, "device number") : 0,
  };
}

export function isZeroBlock(block: Buffer): boolean {
  for (let at = 0; at < block.length; at += 4) if (block.readUInt32LE(at) !== 0) return false;
  return true;
}

/** The bytes up to the first NUL, as Latin-1. */
export function readString(block: Buffer, start: number, length: number): string {
  const nul = block.indexOf(0, start);
  const end = nul === -1 || nul > start + length ? start + length : nul;
  return block.toString("latin1", start, end);
}

/** Octal text, or GNU's base 256 when the first bit is set. An empty field is 0. */
export function readNumber(block: Buffer, start: number, length: number, what: string): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(block, start, length, what);
  const text = readString(block, start, length).trim();
  if (text === "") return 0;
  const value = Number.parseInt(text, 8);
  if (!/^[0-7]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new ImageError(`the ${what} ${JSON.stringify(text)} of a tar entry is no octal number`);
  }
  return value;
}

function readBase256(block: Buffer, start: number, length: number, what: string): number {
  // Two's complement over the whole field, whose first bit is the marker and whose second is the sign.
  let value = BigInt(((block[start] ?? 0) & 0x7f) ^ 0x40) - 0x40n;
  for (let at = start + 1; at < start + length; at++) value = value * 256n + BigInt(block[at] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new ImageError(`the ${what} of a tar entry is too large`);
  return number;
}

/** Sum of all bytes with the checksum's own field as spaces; some old programs add signed bytes. */
function checkChecksum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < block.length; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    signed += (byte << 24) >> 24;
  }
  const expected = readNumber(block, 148, 8, "checksum");
  if (expected !== unsigned && expected !== signed) {
    throw new ImageError("a tar header has a wrong checksum", {
      hint: "The layer is damaged or is no tar archive.",
    });
  }
}
