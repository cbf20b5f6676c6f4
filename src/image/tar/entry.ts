import { ImageError } from "../../errors/index.ts";
import type { RawHeader } from "./header.ts";
import { xattrPrefix, type PaxRecords } from "./pax.ts";
import { checkMap, paxRealSize, type SparseMap } from "./sparse.ts";

export type TarEntryType =
  "file" | "hardLink" | "symlink" | "directory" | "characterDevice" | "blockDevice" | "fifo";

/** One entry of an archive. Names, targets and values are bytes as Latin-1, as they stand in the archive. */
export interface TarEntry {
  readonly name: string;
  readonly type: TarEntryType;
  /** Permission bits with set-uid, set-gid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Time of the last change: whole seconds since 1970, rounded down, and nanoseconds after that. */
  readonly seconds: number;
  readonly nanoseconds: number;
  /** As a program sees it, in bytes; 0 for all but files. */
  readonly size: number;
  /** Bytes of data in the archive: less than the size when there are holes. */
  readonly storedSize: number;
  /** Of hard links and symbolic links. */
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  /** Full name → value. */
  readonly xattrs: ReadonlyMap<string, string>;
  readonly sparse: SparseMap | null;
}

/** Version 7 knows neither types but links nor, so, directories: those are names that end in a slash. */
const untyped = "\0";

const types: Readonly<Record<string, TarEntryType>> = {
  [untyped]: "file",
  "0": "file",
  "1": "hardLink",
  "2": "symlink",
  "3": "characterDevice",
  "4": "blockDevice",
  "5": "directory",
  "6": "fifo",
  "7": "file", // contiguous, which no one does differently
  S: "file",
};

const noOwner = 0xffff_ffff;
const noXattrs: ReadonlyMap<string, string> = new Map();

/**
 * Joins a header with the extended headers before it.
 *
 * @throws ImageError for an unknown type, or a number out of range
 */
export function entryOf(
  header: RawHeader,
  records: PaxRecords,
  longName: string | null,
  longLink: string | null,
  sparse: SparseMap | null,
  stored: number,
): TarEntry {
  const { values } = records;
  const name = values.get("GNU.sparse.name") ?? values.get("path") ?? longName ?? header.name;
  let type = types[header.type];
  if (type === undefined) {
    throw new ImageError(`the entry ${quote(name)} is of the unknown type ${quote(header.type)}`);
  }
  // What says that it is a file is one, also with a slash: so it is with Go's reader, by which docker and containerd go.
  if (header.type === untyped && name.endsWith("/")) type = "directory";
  // Only files have data; old archives give links the size of their target.
  const storedSize = type === "file" ? stored : 0;
  const map = type === "file" && sparse !== null ? checked(sparse, records, storedSize) : null;
  const [seconds, nanoseconds] = timeOf(values.get("mtime"), header.mtime);
  if (header.mode < 0) throw new ImageError(`the entry ${quote(name)} has a negative mode`);
  return {
    name,
    type,
    mode: header.mode & 0o7777,
    uid: ownerOf(values.get("uid"), header.uid, name),
    gid: ownerOf(values.get("gid"), header.gid, name),
    seconds,
    nanoseconds,
    size: map?.size ?? storedSize,
    storedSize,
    linkName: values.get("linkpath") ?? longLink ?? header.linkName,
    major: header.major,
    minor: header.minor,
    xattrs: xattrsOf(values),
    sparse: map,
  };
}

function checked(map: SparseMap, records: PaxRecords, stored: number): SparseMap {
  return checkMap(map, paxRealSize(records) ?? map.size, stored);
}

/**
 * The highest id is (uid_t)-1, which means "no change" to chown(2): the file stays root's, who unpacks it with docker and
 * containerd.
 */
function ownerOf(text: string | undefined, inHeader: number, name: string): number {
  const id = text === undefined ? inHeader : /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (!(id >= 0 && id <= noOwner)) throw new ImageError(`the entry ${quote(name)} has an owner out of range`);
  return id === noOwner ? 0 : id;
}

function timeOf(text: string | undefined, inHeader: number): [seconds: number, nanoseconds: number] {
  if (text === undefined) return [inHeader, 0];
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null)
    throw new ImageError(`the time ${quote(text.slice(0, 40))} of a tar entry is no number`);
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return [seconds, nanoseconds];
  return nanoseconds === 0 ? [0 - seconds, 0] : [-seconds - 1, 1e9 - nanoseconds];
}

function xattrsOf(values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  let found: Map<string, string> | null = null;
  for (const [key, value] of values) {
    if (!key.startsWith(xattrPrefix)) continue;
    found ??= new Map();
    found.set(key.slice(xattrPrefix.length), value);
  }
  return found ?? noXattrs;
}

/** Bytes as Latin-1 → text for people, with control characters escaped. */
export function quote(bytes: string): string {
  return JSON.stringify(Buffer.from(bytes, "latin1").toString("utf8"));
}
