/** A cpio archive of the kind the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst). */

export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | {
      readonly kind: "character device";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const TYPE_BITS = { directory: 0o040000, file: 0o100000, "character device": 0o020000 } as const;
const ALIGNMENT = 4;

/**
 * The bytes of a "newc" archive. The same entries always give the same bytes: all times are 0, root owns everything, inode
 * numbers count from 1.
 *
 * @param entries parents before children; paths without a leading slash
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [index, entry] of entries.entries()) parts.push(...member(entry, index + 1));
  parts.push(...member({ kind: "file", path: "TRAILER!!!", mode: 0, content: Buffer.alloc(0) }, 0));
  return Buffer.concat(parts);
}

function member(entry: CpioEntry, inode: number): Uint8Array[] {
  const content = entry.kind === "file" ? entry.content : Buffer.alloc(0);
  const name = Buffer.from(`${entry.path}\0`);
  const device = entry.kind === "character device" ? entry : { major: 0, minor: 0 };
  const isTrailer = inode === 0;
  const fields = [
    inode,
    isTrailer ? 0 : TYPE_BITS[entry.kind] | entry.mode,
    0, // owner
    0, // group
    entry.kind === "directory" ? 2 : 1, // links
    0, // time of modification
    content.length,
    0, // device it was on, major
    0, // and minor
    device.major,
    device.minor,
    name.length,
    0, // checksum, unused in this variant
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return [header, name, padding(header.length + name.length), content, padding(content.length)];
}

function padding(length: number): Uint8Array {
  return Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}
