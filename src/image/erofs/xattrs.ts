import { ImageError } from "../../errors/index.ts";
import type { Budget } from "./budget.ts";
import { ByteArena, longer } from "./columns.ts";
import { hashBytes } from "./hash.ts";

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
  readonly #bodies = new ByteArena();
  #count = 1;
  #at = new Uint32Array(64);
  #length = new Uint32Array(64);
  /** Open addressing: the number of the set, 0 for free. */
  #slots = new Uint32Array(256);
  /** Where a set is encoded before it is known whether it is new. */
  #scratch = Buffer.alloc(1024);

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
    const body = this.#encode(xattrs);
    if (body.length === 0) return 0;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    const slot = this.#find(body);
    const known = this.#slots[slot] ?? 0;
    if (known !== 0) return known;
    this.#budget.metadata(body.length + tableBytes);
    const id = this.#count++;
    if (id === this.#at.length) this.#grow(id * 2);
    this.#at[id] = this.#bodies.appendBytes(body);
    this.#length[id] = body.length;
    this.#slots[slot] = id;
    return id;
  }

  /** What stands behind an inode; empty for set 0. Not a copy. */
  body(id: number): Buffer {
    return id === 0 ? nothing : this.#bodies.bytes(this.#at[id] ?? 0, this.#length[id] ?? 0);
  }

  /** Length of {@link body}. */
  bytes(id: number): number {
    return this.#length[id] ?? 0;
  }

  #encode(xattrs: ReadonlyMap<string, string>): Buffer {
    const entries = [...xattrs].filter(([name]) => prefixOf(name) !== null).sort(byName);
    if (entries.length === 0) return nothing;
    const length = entries.reduce((sum, [name, value]) => sum + entryBytes(name, value), headerBytes);
    if (length > maximumBytes) {
      throw new ImageError(`the extended attributes take ${length} bytes, more than ${maximumBytes}`);
    }
    if (length > this.#scratch.length) this.#scratch = Buffer.alloc(length * 2);
    const body = this.#scratch.fill(0, 0, length).subarray(0, length);
    let at = headerBytes;
    for (const [name, value] of entries) at += encodeEntry(name, value, body, at);
    return body;
  }

  /** The slot of a set with this content, or the free one where it belongs. */
  #find(body: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashBytes(body) & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot] ?? 0;
      if (id === 0 || (this.bytes(id) === body.length && this.body(id).equals(body))) return slot;
    }
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let id = 1; id < this.#count; id++) this.#slots[this.#find(this.body(id))] = id;
  }

  #grow(length: number): void {
    this.#at = longer(this.#at, length);
    this.#length = longer(this.#length, length);
  }
}

const nothing = Buffer.alloc(0);

/** What a set takes in the columns of the table and, at most half full, in its slots. */
const tableBytes = 32;

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

/** @returns null for an attribute that is left out */
function prefixOf(name: string): readonly [prefix: string, index: number] | null {
  if (name.startsWith("trusted.overlay.")) return null;
  const found = prefixes.find(([prefix]) =>
    prefix.endsWith(".") ? name.startsWith(prefix) : name === prefix,
  );
  return found ?? null;
}

/** Bytes of an attribute with its padding. @throws ImageError when Linux does not allow it */
function entryBytes(name: string, value: string): number {
  const [prefix] = prefixOf(name) ?? [""];
  const rest = name.length - prefix.length;
  if (name.length > maximumNameBytes || (rest === 0 && prefix.endsWith(".")) || name.includes("\0")) {
    throw new ImageError(
      `an extended attribute has a name of ${name.length} bytes that Linux does not allow`,
    );
  }
  if (value.length > maximumValueBytes) {
    throw new ImageError(`an extended attribute has ${value.length} bytes, more than ${maximumValueBytes}`);
  }
  return (4 + rest + value.length + 3) & ~3;
}

/**
 * struct erofs_xattr_entry, the name without its beginning, the value, and zeros up to a multiple of 4.
 *
 * @returns its bytes
 */
function encodeEntry(name: string, value: string, body: Buffer, at: number): number {
  const [prefix, index] = prefixOf(name) ?? ["", 0];
  const rest = name.slice(prefix.length);
  body[at] = rest.length;
  body[at + 1] = index;
  body.writeUInt16LE(value.length, at + 2);
  body.write(rest, at + 4, "latin1");
  body.write(value, at + 4 + rest.length, "latin1");
  return entryBytes(name, value);
}
