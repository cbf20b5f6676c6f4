/**
 * Reads the EROFS images that this package writes, from the description of the format alone: it shares no code with
 * the writer. Linux 6.1, fs/erofs/erofs_fs.h.
 */
import { readFile } from "node:fs/promises";

export interface ReadFile {
  readonly nid: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly size: number;
  readonly device: number;
  readonly xattrs: Readonly<Record<string, string>>;
  /** Of files and symbolic links, as Latin-1; files over 16 MiB have none. */
  readonly content: string;
}

const prefixes = [
  "",
  "user.",
  "system.posix_acl_access",
  "system.posix_acl_default",
  "trusted.",
  "",
  "security.",
];

/** Path from the root → file; names are bytes as Latin-1, the root is the empty path. */
export async function readErofs(path: string): Promise<Map<string, ReadFile>> {
  const image = await readFile(path);
  if (image.readUInt32LE(1024) !== 0xe0f5e1e2) throw new Error("no EROFS image");
  const metadata = image.readUInt32LE(1024 + 40) * 4096;
  const found = new Map<string, ReadFile>();
  const open: [name: string, nid: number][] = [["", image.readUInt16LE(1024 + 14)]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [name, nid] = next;
    const file = readInode(image, metadata, nid);
    found.set(name, file);
    if ((file.mode & 0o170000) !== 0o040000) continue;
    const names: string[] = [];
    const content = Buffer.from(file.content, "latin1");
    for (let block = 0; block < content.length; block += 4096) {
      names.push(...readBlock(content.subarray(block, block + 4096), name, open));
    }
    const sorted = [...names].sort((a, b) => (a < b ? -1 : 1));
    if (names.join("/") !== sorted.join("/")) throw new Error(`${name} is not sorted`);
    if (!names.includes(".") || !names.includes("..")) throw new Error(`${name} lacks . or ..`);
  }
  return found;
}

function readBlock(block: Buffer, parent: string, open: [string, number][]): string[] {
  const count = block.readUInt16LE(8) / 12;
  return Array.from({ length: count }, (_, index) => {
    const start = block.readUInt16LE(index * 12 + 8);
    const end = index + 1 < count ? block.readUInt16LE(index * 12 + 20) : block.length;
    const name = block.toString("latin1", start, end).replace(/\0+$/, "");
    const nid = Number(block.readBigUInt64LE(index * 12));
    if (name !== "." && name !== "..") open.push([parent === "" ? name : `${parent}/${name}`, nid]);
    return name;
  });
}

function readInode(image: Buffer, metadata: number, nid: number): ReadFile {
  const at = metadata + nid * 32;
  const format = image.readUInt16LE(at);
  if ((format & 1) !== 1) throw new Error("not an extended inode");
  const count = image.readUInt16LE(at + 2);
  const xattrBytes = count === 0 ? 0 : 12 + 4 * (count - 1);
  const size = Number(image.readBigUInt64LE(at + 8));
  const mode = image.readUInt16LE(at + 4);
  const hasContent = [0o100000, 0o040000, 0o120000].includes(mode & 0o170000);
  const union = image.readUInt32LE(at + 16);
  return {
    nid,
    mode,
    size,
    uid: image.readUInt32LE(at + 24),
    gid: image.readUInt32LE(at + 28),
    seconds: Number(image.readBigInt64LE(at + 32)),
    nanoseconds: image.readUInt32LE(at + 40),
    links: image.readUInt32LE(at + 44),
    device: hasContent ? 0 : union,
    xattrs: readXattrs(image.subarray(at + 64 + Math.min(12, xattrBytes), at + 64 + xattrBytes)),
    content:
      hasContent && (size <= 1 << 24 || (mode & 0o170000) !== 0o100000)
        ? readContent(image, at + 64 + xattrBytes, (format >> 1) & 7, union, size)
        : "",
  };
}

function readContent(image: Buffer, tail: number, layout: number, union: number, size: number): string {
  if (layout === 2) {
    if (Math.floor(tail / 4096) !== Math.floor((tail + size - 1) / 4096))
      throw new Error("inline data crosses");
    return image.toString("latin1", tail, tail + size);
  }
  if (layout === 0) return image.toString("latin1", union * 4096, union * 4096 + size);
  const content = Buffer.alloc(size);
  const chunk = 4096 * 2 ** (union & 31);
  for (let index = 0; index * chunk < size; index++) {
    const block = image.readUInt32LE(tail + index * 4);
    if (block !== 0xffff_ffff) image.copy(content, index * chunk, block * 4096, block * 4096 + chunk);
  }
  return content.toString("latin1");
}

function readXattrs(body: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < body.length;) {
    const nameEnd = at + 4 + (body[at] ?? 0);
    const valueEnd = nameEnd + body.readUInt16LE(at + 2);
    const name = `${prefixes[body[at + 1] ?? 0] ?? "?"}${body.toString("latin1", at + 4, nameEnd)}`;
    found[name] = body.toString("latin1", nameEnd, valueEnd);
    at = (valueEnd + 3) & ~3;
  }
  return found;
}
