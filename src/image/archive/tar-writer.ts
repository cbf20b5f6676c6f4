const blockBytes = 512;
/** What fits into eleven octal digits. */
const maximumOctal = 8 ** 11 - 1;

/**
 * The header of a file (POSIX.1-2017 pax(1)). A name over 100 bytes gets a pax record before it; a size over 8 GiB is in
 * base 256, as GNU tar writes it.
 */
export function tarHeader(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) <= 100) return ustarHeader(name, size, "0");
  const record = Buffer.from(paxRecord("path", name));
  return Buffer.concat([
    ustarHeader("pax", record.length, "x"),
    record,
    tarPadding(record.length),
    ustarHeader(name.slice(-100), size, "0"),
  ]);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits too. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (length !== Buffer.byteLength(`${length}${rest}`)) length = Buffer.byteLength(`${length}${rest}`);
  return `${length}${rest}`;
}

function ustarHeader(name: string, size: number, type: string): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  if (size <= maximumOctal) {
    header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  } else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  // No time: the same images make the same archive.
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write("ustar\u000000", 257, "latin1");
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** The zeros after a file of this size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);
