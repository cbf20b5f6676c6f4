/** As much as tmpfs takes at a time: what is never written takes nothing. */
export const pageBytes = 4096;

/** What a file in memory holds, page by page; pages that were never written are holes. */
export class MemoryFile {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get usedBytes(): number {
    return this.#pages.size * pageBytes;
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.#size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    const bytes = new Uint8Array(end - offset);
    for (let at = offset; at < end;) {
      const [index, within] = [Math.floor(at / pageBytes), at % pageBytes];
      const count = Math.min(end - at, pageBytes - within);
      const page = this.#pages.get(index);
      if (page !== undefined) bytes.set(page.subarray(within, within + count), at - offset);
      at += count;
    }
    return bytes;
  }

  /** How many bytes more it takes once so much was written there. */
  needs(offset: number, length: number): number {
    if (length === 0) return 0;
    const [first, last] = [Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)];
    let missing = 0;
    for (let index = first; index <= last; index++) if (!this.#pages.has(index)) missing++;
    return missing * pageBytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    for (let at = offset; at < end;) {
      const [index, within] = [Math.floor(at / pageBytes), at % pageBytes];
      const count = Math.min(end - at, pageBytes - within);
      let page = this.#pages.get(index);
      if (page === undefined) this.#pages.set(index, (page = new Uint8Array(pageBytes)));
      page.set(bytes.subarray(at - offset, at - offset + count), within);
      at += count;
    }
    if (bytes.length > 0) this.#size = Math.max(this.#size, end);
  }

  truncate(size: number): void {
    if (size < this.#size) {
      const kept = Math.ceil(size / pageBytes);
      for (const index of [...this.#pages.keys()]) if (index >= kept) this.#pages.delete(index);
      // What lies behind the end is zeros when the file grows again.
      this.#pages.get(kept - 1)?.fill(0, size - (kept - 1) * pageBytes);
    }
    this.#size = size;
  }
}
