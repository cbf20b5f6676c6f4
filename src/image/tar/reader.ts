/**
 * A tar reader that is pushed bytes and calls a visitor: ustar, pax, GNU long names and sparse files.
 *
 * Start here. `header.ts` takes one 512-byte block apart, `pax.ts` the records of extended headers, `sparse.ts` the
 * four ways of saying where a file's holes are. It is push-based so that no await stands between two entries: a layer
 * of 100,000 small files costs as many calls as it has chunks.
 *
 * Formats: POSIX.1-2017 pax(1), "pax Interchange Format" and "ustar Interchange Format"; GNU tar manual, "Tar
 * Internals". An archive may end without its two zero blocks, but not inside an entry.
 */
import { ImageError } from "../../errors/index.ts";
import { entryOf, type TarEntry } from "./entry.ts";
import { isZeroBlock, parseHeader, readString, type RawHeader } from "./header.ts";
import { noPax, parsePax, type PaxRecords } from "./pax.ts";
import {
  type GnuSparseBuilder,
  PaxSparseMapReader,
  gnuSparseHeader,
  hasMapInData,
  paxSparse,
  type SparseMap,
} from "./sparse.ts";

export const blockBytes = 512;
/** Of the records of one extended header, and of all global ones together. The limit of Go's archive/tar. */
const maximumPaxBytes = 1 << 20;
/** Of a GNU long name. Paths end at 4096 bytes, so this is generous. */
const maximumLongNameBytes = 1 << 16;

/** What a {@link TarReader} calls, in the archive's order. Bytes are only valid during the call. */
export interface TarVisitor {
  readonly entry: (entry: TarEntry) => void;
  /** Some stored bytes of the last entry: of a sparse file without its holes. */
  readonly data: (bytes: Uint8Array) => void;
  /** The last entry is complete. */
  readonly finish: () => void;
}

type State = "header" | "meta" | "gnuSparse" | "paxMap" | "data" | "padding" | "zero" | "end";

/**
 * @example
 * ```ts
 * const reader = new TarReader({ entry: (e) => console.log(e.name), data: () => {}, finish: () => {} });
 * for await (const chunk of createReadStream("layer.tar")) reader.push(chunk);
 * reader.end();
 * ```
 */
export class TarReader {
  readonly #visitor: TarVisitor;
  #state: State = "header";
  /** Collects a block that came in two chunks, or the content of an extended header. */
  readonly #block = Buffer.alloc(blockBytes);
  #blockFilled = 0;
  #meta = Buffer.alloc(0);
  #metaFilled = 0;
  /** Bytes that are still to come of data or padding. */
  #left = 0;
  #padding = 0;
  #header: RawHeader | null = null;
  #globals: PaxRecords = noPax;
  #globalBytes = 0;
  /** Of the next entry alone, with the global ones below them; null when it has none. */
  #records: PaxRecords | null = null;
  #longName: string | null = null;
  #longLink: string | null = null;
  #gnuSparse: GnuSparseBuilder | null = null;
  #paxMap: PaxSparseMapReader | null = null;

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  /** @throws ImageError when the bytes are no tar archive */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case "data": {
          const end = Math.min(chunk.length, at + this.#left);
          this.#visitor.data(chunk.subarray(at, end));
          this.#left -= end - at;
          at = end;
          if (this.#left === 0) this.#finishEntry();
          break;
        }
        case "padding": {
          const end = Math.min(chunk.length, at + this.#left);
          this.#left -= end - at;
          at = end;
          if (this.#left === 0) this.#state = "header";
          break;
        }
        case "meta": {
          const count = Math.min(chunk.length - at, this.#meta.length - this.#metaFilled);
          this.#meta.set(chunk.subarray(at, at + count), this.#metaFilled);
          this.#metaFilled += count;
          at += count;
          if (this.#metaFilled === this.#meta.length) this.#finishMeta();
          break;
        }
        case "end":
          return;
        default:
          at = this.#collectBlock(chunk, at);
      }
    }
  }

  /**
   * Neither the zero blocks at the end nor the padding of the last file must be there: umoci leaves both out, and Go's
   * reader, by which docker and containerd go, does without.
   *
   * @throws ImageError when the archive stops inside an entry
   */
  end(): void {
    const clean =
      this.#state === "padding" ||
      (this.#state === "header" && this.#blockFilled === 0 && !this.#pendingMeta()) ||
      this.#state === "zero" ||
      this.#state === "end";
    if (!clean) throw new ImageError("the tar archive is truncated", { hint: truncatedHint });
  }

  #pendingMeta(): boolean {
    return this.#longName !== null || this.#longLink !== null || this.#records !== null;
  }

  #collectBlock(chunk: Uint8Array, at: number): number {
    const count = Math.min(chunk.length - at, blockBytes - this.#blockFilled);
    this.#block.set(chunk.subarray(at, at + count), this.#blockFilled);
    this.#blockFilled += count;
    if (this.#blockFilled === blockBytes) {
      this.#blockFilled = 0;
      this.#takeBlock(this.#block);
    }
    return at + count;
  }

  #takeBlock(block: Buffer): void {
    switch (this.#state) {
      case "zero":
        if (!isZeroBlock(block)) throw new ImageError("a zero block stands between two tar entries");
        this.#state = "end";
        return;
      case "gnuSparse":
        if (this.#gnuSparse?.extend(block) === false) this.#startEntry(this.#gnuSparse.finish());
        return;
      case "paxMap":
        this.#takePaxMap(block);
        return;
      default:
        this.#takeHeader(block);
    }
  }

  #takeHeader(block: Buffer): void {
    if (isZeroBlock(block)) {
      if (this.#pendingMeta()) throw new ImageError("an extended tar header stands before no entry");
      this.#state = "zero";
      return;
    }
    const header = parseHeader(block);
    switch (header.type) {
      case "x":
      case "X":
      case "g":
        this.#startMeta(header, maximumPaxBytes);
        return;
      case "L":
      case "K":
        this.#startMeta(header, maximumLongNameBytes);
        return;
    }
    this.#header = header;
    if (header.type === "S") {
      this.#gnuSparse = gnuSparseHeader(block);
      if (this.#gnuSparse.extended) this.#state = "gnuSparse";
      else this.#startEntry(this.#gnuSparse.finish());
      return;
    }
    const records = this.#records ?? this.#globals;
    if (hasMapInData(records)) {
      this.#paxMap = new PaxSparseMapReader();
      this.#left = storedSize(header, records);
      this.#state = "paxMap";
      return;
    }
    this.#startEntry(null);
  }

  #startMeta(header: RawHeader, maximum: number): void {
    if (header.size > maximum) {
      throw new ImageError(`an extended tar header has ${header.size} bytes, more than ${maximum}`);
    }
    this.#header = header;
    // The padding is part of what is collected, so that headers need no state of their own for it.
    this.#meta = Buffer.alloc(Math.ceil(header.size / blockBytes) * blockBytes);
    this.#metaFilled = 0;
    this.#state = "meta";
    if (header.size === 0) this.#finishMeta();
  }

  #finishMeta(): void {
    const header = this.#header;
    if (header === null) throw new ImageError("a tar header is missing");
    const content = this.#meta.subarray(0, header.size);
    this.#meta = Buffer.alloc(0);
    this.#state = "header";
    switch (header.type) {
      case "L":
        this.#longName = readString(content, 0, content.length);
        return;
      case "K":
        this.#longLink = readString(content, 0, content.length);
        return;
      case "g":
        this.#globalBytes += header.size;
        if (this.#globalBytes > maximumPaxBytes) {
          throw new ImageError(`the global tar headers have more than ${maximumPaxBytes} bytes`);
        }
        this.#globals = parsePax(content, this.#globals);
        return;
      default:
        this.#records = parsePax(content, this.#globals);
    }
  }

  #takePaxMap(block: Buffer): void {
    if (this.#left < blockBytes) throw new ImageError("the map of a sparse file is longer than its data");
    this.#left -= blockBytes;
    const map = this.#paxMap?.push(block) ?? null;
    if (map !== null) this.#startEntry(map, this.#left);
  }

  /** @param stored bytes of data that follow, when some were taken as the map already */
  #startEntry(map: SparseMap | null, stored?: number): void {
    const header = this.#header;
    if (header === null) throw new ImageError("a tar header is missing");
    const records = this.#records ?? this.#globals;
    const size = stored ?? storedSize(header, records);
    const sparse = map ?? paxSparse(records);
    const entry = entryOf(header, records, this.#longName, this.#longLink, sparse, size);
    this.#records = null;
    this.#longName = null;
    this.#longLink = null;
    this.#gnuSparse = null;
    this.#paxMap = null;
    this.#left = entry.storedSize;
    this.#padding = -entry.storedSize & (blockBytes - 1);
    this.#visitor.entry(entry);
    this.#state = "data";
    if (this.#left === 0) this.#finishEntry();
  }

  #finishEntry(): void {
    this.#visitor.finish();
    this.#left = this.#padding;
    this.#state = this.#left === 0 ? "header" : "padding";
  }
}

const truncatedHint = "The layer is damaged: remove the image and pull it again.";

function storedSize(header: RawHeader, records: PaxRecords): number {
  const text = records.values.get("size");
  if (text === undefined) return header.size;
  const size = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(size)) {
    throw new ImageError(`the size ${JSON.stringify(text.slice(0, 40))} of a tar entry is no number`);
  }
  return size;
}
