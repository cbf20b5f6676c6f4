import { readSync, writeSync } from "node:fs";
import { open, readdir, readFile, readlink, stat, type FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { setImmediate } from "node:timers/promises";
import { RuntimeError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";

/** A part of the guest's memory in QEMU's address space. */
interface Mapping {
  readonly start: number;
  readonly end: number;
  /** Where it begins in the guest's memory, bytes. */
  readonly offset: number;
}

/** A run of pages of the guest's memory: bytes from its beginning. */
interface PageRun {
  readonly offset: number;
  readonly length: number;
}

/** Bits of the upper half of an entry of pagemap (Documentation/admin-guide/mm/pagemap.rst). */
const present = 0x8000_0000;
const swapped = 0x4000_0000;
const ofFile = 0x2000_0000;
const entryBytes = 8;
/** AT_PAGESZ of getauxval(3). */
const pageSizeEntry = 6n;
/** Of pagemap that are looked at at a time. */
const mostEntries = 128 * 1024;
/** What is read is still in a processor's cache when it is written. */
const pieceBytes = 256 * 1024;
/** After so many bytes whatever else waits has its turn. */
const restBytes = 4 * 1024 * 1024;
/** Between two runs of pages that are copied as one. */
const closeBytes = 64 * 1024;
/** The file of a guest that has just gone on from it is renamed and removed, and may be between two looks at its name. */
const mostLooks = 5;

/**
 * The memory of a running machine, seen from outside, as Linux shows a process to whoever has started it (proc(5)): what of it is the machine's
 * own, and what is as in the file that it was made from.
 */
export class GuestMemory {
  /** Whether what the guest writes is the machine's own: else it goes into the file. */
  readonly isPrivate: boolean;
  /** Of the file that is mapped, as a path that leads there even when it was removed. */
  readonly filePath: string;
  readonly #pid: number;
  readonly #mappings: readonly Mapping[];

  private constructor(pid: number, mappings: readonly Mapping[], isPrivate: boolean, filePath: string) {
    this.#pid = pid;
    this.#mappings = mappings;
    this.isPrivate = isPrivate;
    this.filePath = filePath;
  }

  /**
   * @param bytes how much the guest has
   * @throws RuntimeError when it is not to be found, or not to be seen
   */
  static async find(pid: number, bytes: number): Promise<GuestMemory> {
    for (let looks = 0; looks < mostLooks; looks++) {
      const found = await GuestMemory.#look(pid, bytes);
      if (found !== null) return found;
    }
    throw new RuntimeError("the memory of the machine is not to be found", {
      hint: "This works on Linux, for machines of the user who asks.",
    });
  }

  static async #look(pid: number, bytes: number): Promise<GuestMemory | null> {
    const byFile = new Map<
      string,
      { inode: string; name: string; mappings: Mapping[]; isPrivate: boolean }
    >();
    for (const line of (await readFile(`/proc/${pid}/maps`, "utf8")).split("\n")) {
      const found = /^([0-9a-f]+)-([0-9a-f]+) rw.([ps]) ([0-9a-f]+) (\S+) (\d+) *(.*)$/.exec(line);
      if (found === null) continue;
      const [, start = "", end = "", how, offset = "", device = "", inode = "", name = ""] = found;
      const file = `${device} ${inode}`;
      const group = byFile.get(file) ?? { inode, name, mappings: [], isPrivate: how === "p" };
      byFile.set(file, group);
      group.mappings.push({
        start: Number.parseInt(start, 16),
        end: Number.parseInt(end, 16),
        offset: Number.parseInt(offset, 16),
      });
    }
    for (const { inode, name, mappings, isPrivate } of byFile.values()) {
      const mapped = mappings.reduce((sum, { start, end }) => sum + end - start, 0);
      const filePath = mapped === bytes ? await openFileOf(pid, inode, name) : null;
      if (filePath !== null) return new GuestMemory(pid, mappings, isPrivate, filePath);
    }
    return null;
  }

  /**
   * Writes the machine's own pages over a copy of the file that it was made from. The machine stands still, so this takes the thread for
   * some milliseconds at a time: to wait for another one for each piece takes as long as to copy it.
   *
   * @returns bytes
   * @throws RuntimeError, or what open(2) reports, when the process is not to be seen; IoError when there is no space for them
   */
  async copyOwn(target: FileHandle): Promise<number> {
    await using memory = await open(`/proc/${this.#pid}/mem`);
    const buffer = Buffer.allocUnsafeSlow(pieceBytes);
    let copied = 0;
    let sinceRest = 0;
    for await (const { address, offset, length, own } of this.#ownRuns()) {
      for (let done = 0; done < length;) {
        const piece = buffer.subarray(0, Math.min(pieceBytes, length - done));
        if (!fill(memory, piece, address + done))
          throw new RuntimeError("the memory of the machine is not to be read");
        writeAll(target, piece, offset + done);
        done += piece.length;
        sinceRest += piece.length;
        if (sinceRest < restBytes) continue;
        sinceRest = 0;
        await setImmediate();
      }
      copied += own;
    }
    return copied;
  }

  /**
   * Looks at the pages as {@link copyOwn} does, while the machine runs: what this process does for the first time takes it many times as long, and
   * the machine need not stand still for that.
   *
   * @throws as {@link copyOwn}
   */
  async rehearse(): Promise<void> {
    const runs = this.#ownRuns();
    while ((await runs.next()).done !== true);
  }

  /** The runs of pages that are copied as one: where they are in the process and in the guest's memory. */
  async *#ownRuns(): AsyncGenerator<PageRun & { readonly address: number; readonly own: number }> {
    await using pagemap = await open(`/proc/${this.#pid}/pagemap`);
    const pageBytes = await pageSize();
    const entries = Buffer.allocUnsafeSlow(mostEntries * entryBytes);
    for (const { start, end, offset: base } of this.#mappings) {
      for (let from = start; from < end; from += mostEntries * pageBytes) {
        const count = Math.min(mostEntries, (end - from) / pageBytes);
        const seen = entries.subarray(0, count * entryBytes);
        if (!fill(pagemap, seen, (from / pageBytes) * entryBytes))
          throw new RuntimeError("the pages of the machine are not to be seen");
        for (const { offset, length, own } of joined(ownPages(seen, pageBytes), closeBytes))
          yield { address: from + offset, offset: base + (from - start) + offset, length, own };
      }
    }
  }
}

/** @returns whether there was so much */
function fill(file: FileHandle, into: Buffer, start: number): boolean {
  for (let at = 0; at < into.length;) {
    const bytes = readSync(file.fd, into, at, into.length - at, start + at);
    if (bytes === 0) return false;
    at += bytes;
  }
  return true;
}

function writeAll(target: FileHandle, bytes: Buffer, start: number): void {
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(target.fd, bytes, at, bytes.length - at, start + at);
  } catch (error) {
    throw ioError("write the guest's memory down", error);
  }
}

/** The runs of pages that are not the file's: written since, whether they are in memory or were swapped out. */
export function* ownPages(pagemap: Buffer, pageBytes: number): Generator<PageRun> {
  const count = pagemap.length / entryBytes;
  const upperHalves = new Uint32Array(pagemap.buffer, pagemap.byteOffset, count * 2);
  const upper = endianness() === "LE" ? 1 : 0;
  let from = -1;
  for (let page = 0; page < count; page++) {
    const entry = upperHalves[2 * page + upper] ?? 0;
    const isOwn = (entry & swapped) !== 0 || ((entry & present) !== 0 && (entry & ofFile) === 0);
    if (isOwn && from < 0) from = page;
    else if (!isOwn && from >= 0) {
      yield { offset: from * pageBytes, length: (page - from) * pageBytes };
      from = -1;
    }
  }
  if (from >= 0) yield { offset: from * pageBytes, length: (count - from) * pageBytes };
}

/**
 * Runs that lie close together as one: a read and a write cost as much as copying some pages. What lies between is as in the file, and is written as
 * it is.
 *
 * @param close bytes between two that are joined
 * @returns also how many bytes of each are of the runs that were given
 */
export function* joined(
  runs: Iterable<PageRun>,
  close: number,
): Generator<PageRun & { readonly own: number }> {
  let last: { offset: number; length: number; own: number } | null = null;
  for (const { offset, length } of runs) {
    if (last !== null && offset - (last.offset + last.length) <= close) {
      last = { offset: last.offset, length: offset + length - last.offset, own: last.own + length };
      continue;
    }
    if (last !== null) yield last;
    last = { offset, length, own: length };
  }
  if (last !== null) yield last;
}

/**
 * Where a file that a process has open is found, even when it was removed. The number of its inode is another file's too, on another file
 * system, and what stat(2) says of a device is not always what the process's map says (Btrfs): but the kernel names a file the same in both.
 *
 * @param name as the map has it, where a line's end is `\012`
 */
async function openFileOf(pid: number, inode: string, name: string): Promise<string | null> {
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${fd}`;
    const found = await stat(path, { bigint: true }).catch(() => null);
    if (String(found?.ino) !== inode) continue;
    const link = await readlink(path).catch(() => null);
    if (link?.replaceAll("\n", "\\012") === name) return path;
  }
  return null;
}

/** Bytes of a page of this host: from the vector that its kernel gives each process. */
async function pageSize(): Promise<number> {
  const vector = await readFile("/proc/self/auxv");
  for (let at = 0; at + 16 <= vector.length; at += 16)
    if (readWord(vector, at) === pageSizeEntry) return Number(readWord(vector, at + 8));
  return 4096;
}

function readWord(bytes: Buffer, at: number): bigint {
  return endianness() === "LE" ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
}
