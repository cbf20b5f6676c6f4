/**
 * Tar headers in GNU's form, which every reader knows and in which names and targets may be any bytes of any length. The fraction of a
 * second is in an extended header of POSIX's (pax(1)): who knows none passes over it.
 */

const blockBytes = 512;
/** GNU tar manual, "Basic Tar Format": octal text, else base 256. */
const longLinkName = Buffer.from("././@LongLink");
const nameBytes = 100;
const gnuMagic = "ustar  \0";
/** GNU tar reads the map of a sparse file as the format says that stands here. */
const posixMagic = "ustar\0" + "00";
const second = 1_000_000_000n;

export interface TarFields {
  /** Without a NUL; of a directory with a slash at its end. */
  readonly name: Uint8Array;
  readonly type: "file" | "symlink" | "directory";
  /** The twelve bits of chmod(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file, in bytes, as many as follow; 0 for all others. */
  readonly size: number;
  /** Nanoseconds since 1970, may be negative. */
  readonly mtimeNs: bigint;
  /** Of a symbolic link. */
  readonly linkName?: Uint8Array | undefined;
}

const typeFlags = { file: "0", symlink: "2", directory: "5" } as const;

/**
 * What stands before the content of an entry. A name or target of more than 100 bytes, and a time that is no whole second, have entries
 * of their own before it.
 */
export function tarHeader(fields: TarFields): Buffer {
  const { name, linkName, mtimeNs } = fields;
  const blocks = [headerBlock(fields, typeFlags[fields.type])];
  if (name.length > nameBytes) blocks.unshift(longName("L", name));
  if (linkName !== undefined && linkName.length > nameBytes) blocks.unshift(longName("K", linkName));
  if (mtimeNs % second !== 0n) blocks.unshift(paxTime(mtimeNs));
  return Buffer.concat(blocks);
}

/**
 * The same of a file with holes, with the map of what follows: GNU tar's version 1.0, "Storing Sparse Files".
 *
 * @param size as a program sees it
 * @param pieces what follows, one after the other: sorted, without overlap
 */
export function sparseTarHeader(
  name: string,
  size: number,
  pieces: readonly (readonly [offset: number, length: number])[],
): Buffer {
  const last = pieces.at(-1) ?? [0, 0];
  // GNU tar makes the file as long as the map tells: an empty piece at its end.
  const all = last[0] + last[1] < size ? [...pieces, [size, 0]] : pieces;
  const numbers = [all.length, ...all.flat()];
  const lines = Buffer.from(numbers.map((number) => `${number}\n`).join(""));
  const map = Buffer.concat([lines, tarPadding(lines.length)]);
  const stored = pieces.reduce((sum, [, length]) => sum + length, map.length);
  const records = { major: "1", minor: "0", name, realsize: String(size) };
  const pax = Object.entries(records).map(([key, text]) => paxRecord(`GNU.sparse.${key}`, text));
  const fields = { mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n };
  // Of a reader that knows nothing of holes.
  const visible = Buffer.from(`GNUSparseFile.0/${name}`.slice(0, nameBytes));
  return Buffer.concat([
    aboutNext(Buffer.from("pax"), "x", Buffer.from(pax.join(""))),
    headerBlock({ ...fields, name: visible, size: stored }, typeFlags.file, posixMagic),
    map,
  ]);
}

/** The zeros after a file of this size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

function longName(flag: "L" | "K", name: Uint8Array): Buffer {
  return aboutNext(longLinkName, flag, Buffer.concat([name, Buffer.alloc(1)]));
}

/** pax(1), "pax Extended Header": the length of a record counts itself. */
function paxRecord(key: string, text: string): string {
  const rest = ` ${key}=${text}\n`;
  const length = Buffer.byteLength(rest);
  const digits = String(length + String(length).length).length;
  return `${length + digits}${rest}`;
}

/** pax(1), "pax Extended Header": a decimal number of seconds. The length of a record counts itself. */
function paxTime(ns: bigint): Buffer {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % second).padStart(9, "0");
  const record = ` mtime=${ns < 0n ? "-" : ""}${size / second}.${fraction}\n`;
  // All in all between 10 and 99 bytes, so two digits.
  return aboutNext(Buffer.from("pax"), "x", Buffer.from(`${record.length + 2}${record}`));
}

/** An entry that says something of the next one. */
function aboutNext(name: Uint8Array, flag: string, content: Uint8Array): Buffer {
  const size = content.length;
  const header = headerBlock({ name, mode: 0o644, uid: 0, gid: 0, size, mtimeNs: 0n }, flag);
  return Buffer.concat([header, content, tarPadding(size)]);
}

function headerBlock(fields: Omit<TarFields, "type">, flag: string, magic = gnuMagic): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.set(fields.name.subarray(0, nameBytes), 0);
  writeNumber(header, 100, 8, fields.mode);
  writeNumber(header, 108, 8, fields.uid);
  writeNumber(header, 116, 8, fields.gid);
  writeNumber(header, 124, 12, fields.size);
  writeNumber(header, 136, 12, wholeSeconds(fields.mtimeNs));
  header.write("        ", 148);
  header.write(flag, 156);
  header.set((fields.linkName ?? new Uint8Array()).subarray(0, nameBytes), 157);
  header.write(magic, 257, "latin1");
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

function writeNumber(header: Buffer, start: number, length: number, value: number): void {
  if (value >= 0 && value < 8 ** (length - 1)) {
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, start);
    return;
  }
  // Two's complement over the whole field, whose first bit says so.
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  for (let at = start + length - 1; at >= start; at--, rest >>= 8n) header[at] = Number(rest & 0xffn);
  header[start] = (header[start] ?? 0) | 0x80;
}

/** Rounded down. */
function wholeSeconds(ns: bigint): number {
  const whole = ns / second;
  return Number(ns < 0n && ns % second !== 0n ? whole - 1n : whole);
}
