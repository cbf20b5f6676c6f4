import type { PatternNode } from "./pattern-tree.ts";

const [percent, plus, space, backslash, letterU] = [0x25, 0x2b, 0x20, 0x5c, 0x75];
/** What a backslash and a letter stand for (RFC 8259, 7), but \u. */
export const shortEscapes: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", t: "\t", n: "\n", r: "\r" }).map(
    ([letter, meant]) => [letter.charCodeAt(0), meant.charCodeAt(0)],
  ),
);

/** A byte that a pattern can begin with in some form, and what can be behind it: nearly all that begin so are ruled out by that. */
export interface Beginning {
  readonly byte: number;
  /** Not 0: the next byte may be this one. */
  readonly second: Uint8Array;
  /** The one behind it. */
  readonly third: Uint8Array;
}

function among(bytes: Iterable<number>): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of bytes) table[byte] = 1;
  return table;
}

const every = new Uint8Array(256).fill(1);

/** Both cases of a hexadecimal digit. */
function digit(value: number): number[] {
  const text = value.toString(16);
  return [text.charCodeAt(0), text.toUpperCase().charCodeAt(0)];
}

/** @param root of all patterns */
export function beginningsOf(root: PatternNode): Beginning[] {
  const firsts = [...root.next.keys()];
  if (firsts.length === 0) return [];
  const plain = firsts.map((byte) => ({ byte, second: secondBytes(root.next.get(byte)), third: every }));
  const escapes = [
    {
      byte: percent,
      second: among(firsts.flatMap((byte) => digit(byte >> 4))),
      third: among(firsts.flatMap((byte) => digit(byte & 15))),
    },
    {
      byte: backslash,
      second: among([
        letterU,
        ...[...shortEscapes].flatMap(([at, meant]) => (firsts.includes(meant) ? at : [])),
      ]),
      third: every,
    },
  ];
  const isAlone = ({ byte }: Beginning): boolean => byte !== percent && byte !== backslash;
  return plain.every(isAlone)
    ? [...plain, ...escapes]
    : // One and the same byte may be both: then everything may be behind it.
      [...plain.filter(isAlone), ...escapes.map(({ byte }) => ({ byte, second: every, third: every }))];
}

/** In the same form, as an escape, or 0 in UTF-16. */
function secondBytes(node: PatternNode | undefined): Uint8Array {
  if (node === undefined || node.pattern >= 0) return every;
  const table = among([...node.next.keys(), percent, backslash, 0]);
  if (node.next.has(space)) table[plus] = 1;
  return table;
}
