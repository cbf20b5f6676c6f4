import { open, readdir, readFile, realpath, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** How a text may be written down: as it is, as UTF-16, in hexadecimal digits, and in base64 wherever in a run of bytes it begins. */
function writtenForms(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    // Digits at both ends hold bits of what is beside it.
    return Buffer.from(encoded.slice(before === 0 ? 0 : before + 1, -4));
  });
  return [bytes, Buffer.from(text, "utf16le"), Buffer.from(bytes.toString("hex")), ...base64];
}

/** Parts of memory with pages that are present or swapped out (Documentation/admin-guide/mm/pagemap.rst, bits 63 and 62). */
async function usedRanges(
  pages: FileHandle,
  start: number,
  end: number,
): Promise<(readonly [number, number])[]> {
  const page = 4096;
  const ranges: [number, number][] = [];
  const entries = Buffer.alloc(8 << 16);
  for (let at = start; at < end;) {
    const wanted = Math.min(entries.length, ((end - at) / page) * 8);
    const { bytesRead } = await pages.read(entries, 0, wanted, (at / page) * 8);
    if (bytesRead === 0) break;
    for (let entry = 0; entry < bytesRead; entry += 8, at += page) {
      if (entries.readUInt8(entry + 7) < 0x40) continue;
      const last = ranges.at(-1);
      if (last?.[1] === at) last[1] = at + page;
      else ranges.push([at, at + page]);
    }
  }
  return ranges;
}

const nothing = Buffer.alloc(1 << 20);

/** Looks for a text that is in nothing else than what it was said to: a random one. */
export class LeakHunt {
  readonly #forms: readonly Buffer[];
  readonly #overlap: number;
  readonly #window = Buffer.allocUnsafe(1 << 20);

  constructor(text: string) {
    this.#forms = writtenForms(text);
    this.#overlap = Math.max(...this.#forms.map(({ length }) => length)) - 1;
  }

  has(content: Uint8Array): boolean {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    return this.#forms.some((form) => bytes.includes(form));
  }

  /** @returns whether it is between two places of a file */
  async #inRange(file: FileHandle, start: number, end: number): Promise<boolean> {
    const window = this.#window;
    let kept = 0;
    for (let at = start; at < end;) {
      const { bytesRead } = await file.read(window, kept, Math.min(window.length - kept, end - at), at);
      if (bytesRead === 0) return false;
      const filled = kept + bytesRead;
      const content = window.subarray(0, filled);
      // Most of a machine's memory is empty.
      if (!content.equals(nothing.subarray(0, filled)) && this.has(content)) return true;
      at += bytesRead;
      kept = Math.min(this.#overlap, filled);
      window.copy(window, 0, filled - kept, filled);
    }
    return false;
  }

  /**
   * Files below a directory that have it, links followed at the top alone. Files that were last changed before `since`, ms, are left out,
   * and those that are larger than `largest`, bytes: disks are read for seconds.
   */
  async files(
    directory: string,
    { since = 0, largest = Number.POSITIVE_INFINITY }: { since?: number; largest?: number } = {},
  ): Promise<string[]> {
    const found: string[] = [];
    const root = await realpath(directory);
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs, ctimeMs } = await stat(path);
      if (Math.max(mtimeMs, ctimeMs) < since || size > largest) continue;
      await using file = await open(path);
      if (await this.#inRange(file, 0, size)) found.push(path);
    }
    return found;
  }

  /** Whether a process has it in its memory: all that it has mapped and ever touched. For QEMU, that is the guest's too. */
  async memory(pid: number): Promise<{ readonly found: boolean; readonly searched: number }> {
    await using file = await open(`/proc/${pid}/mem`);
    await using pages = await open(`/proc/${pid}/pagemap`);
    let found = false;
    let searched = 0;
    for (const line of (await readFile(`/proc/${pid}/maps`, "utf8")).split("\n")) {
      const [, from = "", to = "", inode] = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ (\d+)/.exec(line) ?? [];
      if (inode === undefined || line.includes("[v")) continue;
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
      // A file may have what is not mapped now; other memory that is neither here nor swapped out has nothing.
      const runs = inode === "0" ? await usedRanges(pages, start, end) : [[start, end] as const];
      for (const [first, last] of runs) {
        found ||= await this.#inRange(file, first, last);
        searched += last - first;
      }
    }
    return { found, searched };
  }

  /** Processes but this one that show it in their arguments or their environment. */
  async processes(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      for (const shown of ["cmdline", "environ"]) {
        const content = await readFile(`/proc/${pid}/${shown}`).catch(() => Buffer.alloc(0));
        if (this.has(content)) found.push(`${pid} ${shown}`);
      }
    }
    return found;
  }
}
