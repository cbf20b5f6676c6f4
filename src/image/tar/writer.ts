/** Tar headers in GNU's form, which every reader knows and in which names and targets may be any bytes of any length. */

const blockBytes = 512;
/** GNU tar manual, "Basic Tar Format": octal text, else base 256. */
const longLinkName = Buffer.from("././@LongLink");
const nameBytes = 100;

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
  /** Seconds since 1970, may be negative. */
  readonly mtime: number;
  /** Of a symbolic link. */
  readonly linkName?: Uint8Array | undefined;
}

const typeFlags = { file: "0", symlink: "2", directory: "5" } as const;

/** What stands before the content of an entry; a name or target of more than 100 bytes has entries of its own before it. */
export function tarHeader(fields: TarFields): Buffer {
  const { name, linkName } = fields;
  const blocks = [headerBlock(fields, typeFlags[fields.type])];
  if (name.length > nameBytes) blocks.unshift(longName("L", name));
  if (linkName !== undefined && linkName.length > nameBytes) blocks.unshift(longName("K", linkName));
  return Buffer.concat(blocks);
}

/** The zeros after a file of this size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

function longName(flag: "L" | "K", name: Uint8Array): Buffer {
  const size = name.length + 1;
  const header = headerBlock({ name: longLinkName, mode: 0o644, uid: 0, gid: 0, size, mtime: 0 }, flag);
  return Buffer.concat([header, name, Buffer.alloc(1), tarPadding(size)]);
}

function headerBlock(fields: Omit<TarFields, "type">, flag: string): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.set(fields.name.subarray(0, nameBytes), 0);
  writeNumber(header, 100, 8, fields.mode);
  writeNumber(header, 108, 8, fields.uid);
  writeNumber(header, 116, 8, fields.gid);
  writeNumber(header, 124, 12, fields.size);
  writeNumber(header, 136, 12, fields.mtime);
  header.write("        ", 148);
  header.write(flag, 156);
  header.set((fields.linkName ?? new Uint8Array()).subarray(0, nameBytes), 157);
  header.write("ustar  \0", 257, "latin1");
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
