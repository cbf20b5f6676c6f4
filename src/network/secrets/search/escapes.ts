import { shortEscapes } from "./beginnings.ts";

/** What is written at a place: bytes, in one or more bytes of text. */
export interface Escaped {
  readonly bytes: readonly number[];
  /** Of the text. */
  readonly length: number;
}

/** The text ends within an escape. */
export const cutShort = Symbol("cut short");

const backslash = 0x5c;

/** Of one hexadecimal digit; -1: it is none. */
const digits = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  digits[value.toString(16).charCodeAt(0)] = value;
  digits[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/** @returns -1: no such number. null: the text ends before that is known. */
function hexadecimal(text: Buffer, at: number, length: number): number | null {
  let value = 0;
  for (let index = at; index < at + length; index++) {
    const byte = text[index];
    if (byte === undefined) return null;
    const digit = digits[byte] ?? -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/**
 * @param at of a %
 * @returns the byte that it stands for; -1: no escape
 */
export function percentEscape(text: Buffer, at: number): number | typeof cutShort {
  return hexadecimal(text, at + 1, 2) ?? cutShort;
}

/** For each letter behind a backslash. */
const ofLetters = new Map(
  [...shortEscapes].map(([letter, meant]) => [letter, { bytes: [meant], length: 2 }]),
);

/**
 * @param at of a backslash
 * @returns null: no escape
 */
export function jsonEscape(text: Buffer, at: number): Escaped | typeof cutShort | null {
  const letter = text[at + 1];
  if (letter === undefined) return cutShort;
  if (letter !== 0x75) return ofLetters.get(letter) ?? null;
  const unit = hexadecimal(text, at + 2, 4);
  if (unit === null) return cutShort;
  if (unit < 0) return null;
  if (unit < 0x80) return { bytes: [unit], length: 6 };
  if (unit < 0xd800 || unit > 0xdfff) return { bytes: utf8(unit), length: 6 };
  if (unit > 0xdbff) return null;
  return pair(text, at, unit);
}

/** The two halves of a character beyond the first 65,536 (RFC 8259, 7). */
function pair(text: Buffer, at: number, high: number): Escaped | typeof cutShort | null {
  const [first, second] = [text[at + 6], text[at + 7]];
  if (first === undefined) return cutShort;
  if (first !== backslash) return null;
  if (second === undefined) return cutShort;
  if (second !== 0x75) return null;
  const low = hexadecimal(text, at + 8, 4);
  if (low === null) return cutShort;
  if (low < 0xdc00 || low > 0xdfff) return null;
  return { bytes: utf8(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), length: 12 };
}

function utf8(codePoint: number): readonly number[] {
  return [...Buffer.from(String.fromCodePoint(codePoint))];
}
