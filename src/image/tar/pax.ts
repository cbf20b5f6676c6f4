import { ImageError } from "../../errors/index.ts";

/** Before the name of an extended attribute. */
export const xattrPrefix = "SCHILY.xattr.";

/** The records of extended headers that are used. Keys and values are bytes as Latin-1. */
export interface PaxRecords {
  readonly values: ReadonlyMap<string, string>;
  /** `GNU.sparse.offset` and `GNU.sparse.numbytes` in turn: version 0.0 repeats these keys. */
  readonly sparse: readonly string[];
}

export const noPax: PaxRecords = { values: new Map(), sparse: [] };

/** All that an image needs. What else a header has, a stranger could fill memory with. */
const knownKeys: ReadonlySet<string> = new Set([
  "path",
  "linkpath",
  "size",
  "uid",
  "gid",
  "mtime",
  "GNU.sparse.major",
  "GNU.sparse.minor",
  "GNU.sparse.name",
  "GNU.sparse.size",
  "GNU.sparse.realsize",
  "GNU.sparse.map",
]);

/** Of one entry, those of global headers included; a file with more than a few dozen attributes is no one's. */
const maximumRecords = 256;

const newline = 0x0a;
const space = 0x20;

/**
 * Takes `length key=value\n` records apart; the length counts the whole record, so a value may hold any byte.
 *
 * @param base records that the new ones are added to; an empty value takes one away
 * @throws ImageError when a length does not lead to the next record, or there are too many that differ
 */
export function parsePax(content: Buffer, base: PaxRecords): PaxRecords {
  const values = new Map(base.values);
  const sparse: string[] = [];
  for (let at = 0; at < content.length;) {
    const blank = content.indexOf(space, at);
    const length = blank === -1 || blank - at > 8 ? NaN : decimal(content.toString("latin1", at, blank));
    const end = at + length;
    // "5 x=\n" is the shortest record.
    if (!(length >= 5) || end > content.length || content[end - 1] !== newline) {
      throw new ImageError("an extended tar header has a record of a wrong length");
    }
    const record = content.toString("latin1", blank + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1) throw new ImageError("an extended tar header has a record without a key");
    const key = record.slice(0, equals);
    const value = record.slice(equals + 1);
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      if ((key === "GNU.sparse.offset") !== (sparse.length % 2 === 0)) {
        throw new ImageError("the map of a sparse file is out of order");
      }
      sparse.push(value);
    } else if (key.startsWith(xattrPrefix)) values.set(key, value);
    else if (value === "") values.delete(key);
    else if (knownKeys.has(key)) values.set(key, value);
    // Every entry after a global header pays for its records.
    if (values.size > maximumRecords) {
      throw new ImageError(`an extended tar header has more than ${maximumRecords} records`);
    }
    at = end;
  }
  return { values, sparse };
}

function decimal(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : NaN;
}
