/** Patterns shorter than this are not looked for in base64: of some alignments no whole character would be known. */
export const fewestBase64Bytes = 3;

/** The second one is that of URLs. */
export const alphabets = [
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
] as const;

/** Of a character of either alphabet its six bits; 64: it is in none. */
export const sextets = new Uint8Array(256).fill(64);
for (const alphabet of alphabets)
  for (let value = 0; value < 64; value++) sextets[alphabet.charCodeAt(value)] = value;

/**
 * A pattern as it is written in base64 when so many bytes are before it, modulo 3. Its first and its last character may have bits of its
 * neighbours, which are not compared.
 */
export interface AlignedPattern {
  readonly pattern: number;
  readonly alignment: 0 | 1 | 2;
  /** Six bits each. */
  readonly values: Uint8Array;
  readonly firstMask: number;
  readonly lastMask: number;
}

/** Patterns with a common beginning, of one alignment. */
export interface AlignedGroup {
  /** The characters of that beginning of which all bits are known. More than one where the alphabets differ. */
  readonly needles: readonly Buffer[];
  /** Characters before the needle that have bits of the pattern too: none or one. */
  readonly lead: 0 | 1;
  /** By six bits, and 64 for what is no base64: not 0 when this may be the character behind the needle. */
  readonly followers: Uint8Array;
  readonly patterns: readonly AlignedPattern[];
}

export function align(pattern: number, bytes: Buffer, alignment: 0 | 1 | 2): AlignedPattern {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes, Buffer.alloc(2)]);
  const text = padded.toString("base64");
  const bits = 8 * (alignment + bytes.length);
  const values = Uint8Array.from(
    text.slice(alignment, Math.ceil(bits / 6)),
    (letter) => sextets[letter.charCodeAt(0)] ?? 0,
  );
  const unknown = Math.ceil(bits / 6) * 6 - bits;
  return {
    pattern,
    alignment,
    values,
    firstMask: [63, 15, 3][alignment] ?? 63,
    lastMask: 63 & (63 << unknown),
  };
}

/** Those that share their first bytes are one group, so that default placeholders are looked for all at once. */
export function alignedGroups(patterns: readonly Buffer[]): AlignedGroup[] {
  const byBeginning = new Map<string, number[]>();
  for (const [index, bytes] of patterns.entries()) {
    if (bytes.length < fewestBase64Bytes) continue;
    const beginning = bytes.toString("latin1", 0, 5);
    const group = byBeginning.get(beginning);
    if (group === undefined) byBeginning.set(beginning, [index]);
    else group.push(index);
  }
  const groups: AlignedGroup[] = [];
  for (const [beginning, indexes] of byBeginning)
    for (const alignment of [0, 1, 2] as const) {
      const lead = alignment === 0 ? 0 : 1;
      const { values, lastMask } = align(0, Buffer.from(beginning, "latin1"), alignment);
      const known = values.subarray(lead, lastMask === 63 ? values.length : -1);
      const texts = alphabets.map((letters) => Array.from(known, (value) => letters[value] ?? "").join(""));
      const aligned = indexes.map((index) => align(index, patterns[index] ?? Buffer.alloc(0), alignment));
      groups.push({
        needles: [...new Set(texts)].map((text) => Buffer.from(text)),
        lead,
        followers: followersOf(aligned, lead + known.length),
        patterns: aligned,
      });
    }
  return groups;
}

/** @param at of the character behind the needle */
function followersOf(patterns: readonly AlignedPattern[], at: number): Uint8Array {
  const followers = new Uint8Array(65);
  for (const { values, lastMask } of patterns) {
    const value = values[at];
    if (value === undefined) return followers.fill(1);
    const mask = at === values.length - 1 ? lastMask : 63;
    for (let other = 0; other < 64; other++) if (((other ^ value) & mask) === 0) followers[other] = 1;
  }
  return followers;
}

/** How well text goes with a pattern: `open` as far as it goes. */
export type Match = "whole" | "open" | "none";

export function matchAligned(text: Buffer, start: number, one: AlignedPattern): Match {
  const { values, firstMask, lastMask } = one;
  const last = values.length - 1;
  for (let index = 0; index <= last; index++) {
    const byte = text[start + index];
    if (byte === undefined) return "open";
    const value = sextets[byte] ?? 64;
    if (value === 64) return "none";
    const mask = (index === 0 ? firstMask : 63) & (index === last ? lastMask : 63);
    if (((value ^ (values[index] ?? 0)) & mask) !== 0) return "none";
  }
  return "whole";
}
