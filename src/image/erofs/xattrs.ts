import { ImageError } from "../../errors/index.ts";
import type { Budget } from "./budget.ts";

/** EROFS_XATTR_INDEX_*: a name's beginning is stored as one byte. */
const prefixes: readonly (readonly [prefix: string, index: number])[] = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
];

/** XATTR_NAME_MAX of Linux. */
const maximumNameBytes = 255;
/** e_value_size has 16 bits. */
const maximumValueBytes = 0xffff;
/** i_xattr_icount has 16 bits and counts 4 bytes each. */
const maximumBytes = 12 + 4 * 0xfffe;
/** struct erofs_xattr_ibody_header */
const headerBytes = 12;

/**
 * The sets of extended attributes of an image, each encoded as it stands behind an inode and kept once, however many
 * files have it.
 */
export class XattrTable {
  readonly #budget: Budget;
  readonly #sets: Buffer[] = [Buffer.alloc(0)];
  readonly #byContent = new Map<string, number>();

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * @returns the number of the set; 0 when nothing of it can be stored. Attributes that Linux has no handler for on
   *   EROFS are left out, as they are where docker unpacks to a file system without them; so are overlayfs's own,
   *   which would tell the guest's overlay to look elsewhere.
   * @throws ImageError when a name or a value is longer than Linux allows
   */
  add(xattrs: ReadonlyMap<string, string>): number {
    const body = encode(xattrs);
    if (body.length === 0) return 0;
    const content = body.toString("latin1");
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    // Kept twice: as bytes and as the key.
    this.#budget.metadata(2 * body.length + 128);
    const id = this.#sets.push(body) - 1;
    this.#byContent.set(content, id);
    return id;
  }

  /** What stands behind an inode; empty for set 0. */
  body(id: number): Buffer {
    const body = this.#sets[id];
    if (body === undefined) throw new RangeError(`no attribute set ${id}`);
    return body;
  }
}

function encode(xattrs: ReadonlyMap<string, string>): Buffer {
  const parts: Buffer[] = [Buffer.alloc(headerBytes)];
  let length = headerBytes;
  for (const [name, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const entry = encodeEntry(name, value);
    if (entry === null) continue;
    parts.push(entry);
    length += entry.length;
  }
  if (parts.length === 1) return Buffer.alloc(0);
  if (length > maximumBytes) {
    throw new ImageError(`the extended attributes take ${length} bytes, more than ${maximumBytes}`);
  }
  return Buffer.concat(parts, length);
}

/** struct erofs_xattr_entry, the name without its beginning, the value, and zeros up to a multiple of 4. */
function encodeEntry(name: string, value: string): Buffer | null {
  if (name.startsWith("trusted.overlay.")) return null;
  const found = prefixes.find(([prefix]) =>
    prefix.endsWith(".") ? name.startsWith(prefix) : name === prefix,
  );
  if (found === undefined) return null;
  const rest = name.slice(found[0].length);
  if (name.length > maximumNameBytes || (rest === "" && found[0].endsWith(".")) || name.includes("\0")) {
    throw new ImageError(
      `an extended attribute has a name of ${name.length} bytes that Linux does not allow`,
    );
  }
  if (value.length > maximumValueBytes) {
    throw new ImageError(`an extended attribute has ${value.length} bytes, more than ${maximumValueBytes}`);
  }
  const used = 4 + rest.length + value.length;
  const entry = Buffer.alloc((used + 3) & ~3);
  entry[0] = rest.length;
  entry[1] = found[1];
  entry.writeUInt16LE(value.length, 2);
  entry.write(rest, 4, "latin1");
  entry.write(value, 4 + rest.length, "latin1");
  return entry;
}
