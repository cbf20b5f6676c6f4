import { ImageError } from "../../errors/index.ts";
import { readNumber } from "./header.ts";
import type { PaxRecords } from "./pax.ts";

/** Where the stored bytes of a file with holes belong. Sorted, without overlap, within the size. */
export interface SparseMap {
  /** Of the file as a program sees it, in bytes. */
  readonly size: number;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
}

/** Pieces of one file: bounds the memory that a map takes. */
const maximumPieces = 1 << 18;

/** Collects and checks the pieces of a map. */
class MapBuilder {
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  #end = 0;

  add(offset: number, length: number): void {
    const end = offset + length;
    if (offset < this.#end || length < 0 || !Number.isSafeInteger(end)) throw disorder();
    this.#end = end;
    if (length === 0) return; // GNU tar marks the end of the file with an empty piece.
    if (this.#offsets.length >= maximumPieces) {
      throw new ImageError(`a sparse file has more than ${maximumPieces} pieces`);
    }
    this.#offsets.push(offset);
    this.#lengths.push(length);
  }

  finish(size: number): SparseMap {
    if (!Number.isSafeInteger(size) || size < this.#end) throw disorder();
    return { size, offsets: this.#offsets, lengths: this.#lengths };
  }
}

function disorder(): ImageError {
  return new ImageError("the map of a sparse file is out of order or exceeds the file");
}

/** Old GNU format: four pieces in the header, then blocks of 21. */
export class GnuSparseBuilder {
  readonly #map = new MapBuilder();
  readonly #size: number;
  readonly extended: boolean;

  constructor(header: Buffer) {
    this.#size = readNumber(header, 483, 12, "size");
    this.extended = header[482] !== 0;
    this.#pieces(header, 386, 4);
  }

  /** @returns whether another block of pieces follows */
  extend(block: Buffer): boolean {
    this.#pieces(block, 0, 21);
    return block[504] !== 0;
  }

  finish(): SparseMap {
    return this.#map.finish(this.#size);
  }

  #pieces(block: Buffer, start: number, count: number): void {
    for (let at = start; at < start + count * 24; at += 24) {
      if (block[at] === 0) return;
      this.#map.add(readNumber(block, at, 12, "offset"), readNumber(block, at + 12, 12, "length"));
    }
  }
}

export function gnuSparseHeader(header: Buffer): GnuSparseBuilder {
  return new GnuSparseBuilder(header);
}

/** Version 1.0: decimal lines at the start of the data, padded to a block. */
export class PaxSparseMapReader {
  readonly #numbers: number[] = [];
  #digits = "";

  /** @returns null while the map goes on; its size is that of the stored bytes until `entryOf` corrects it */
  push(block: Buffer): SparseMap | null {
    for (const byte of block) {
      if (byte !== 0x0a) {
        if (byte < 0x30 || byte > 0x39 || this.#digits.length >= 16) throw disorder();
        this.#digits += String.fromCharCode(byte);
        continue;
      }
      if (this.#digits === "") throw disorder();
      this.#numbers.push(Number(this.#digits));
      this.#digits = "";
      const count = this.#numbers[0] ?? 0;
      if (count > maximumPieces) throw new ImageError(`a sparse file has more than ${maximumPieces} pieces`);
      if (this.#numbers.length === 1 + 2 * count) return mapOf(this.#numbers.slice(1), null);
    }
    return null;
  }
}

/** Whether the map stands in the data: GNU.sparse version 1.0. */
export function hasMapInData(records: PaxRecords): boolean {
  const major = records.values.get("GNU.sparse.major");
  if (major === undefined || major === "0") return false;
  if (major !== "1" || records.values.get("GNU.sparse.minor") !== "0") {
    throw new ImageError("a sparse file has a map of an unknown version");
  }
  return true;
}

/** Versions 0.0 (pairs of records) and 0.1 (one record with commas); null for a file without holes. */
export function paxSparse(records: PaxRecords): SparseMap | null {
  const list = records.values.get("GNU.sparse.map");
  const size = records.values.get("GNU.sparse.size");
  if (list === undefined && records.sparse.length === 0) {
    return size === undefined || hasMapInData(records) ? null : mapOf([], wholeNumber(size));
  }
  if (size === undefined) throw new ImageError("a sparse file has a map but no size");
  const texts = list === undefined ? records.sparse : list.split(",");
  return mapOf(texts.map(wholeNumber), wholeNumber(size));
}

/** The size of a file whose map stands in the data. */
export function paxRealSize(records: PaxRecords): number | null {
  const text = records.values.get("GNU.sparse.realsize") ?? records.values.get("GNU.sparse.size");
  return text === undefined ? null : wholeNumber(text);
}

/** @throws ImageError when the pieces do not have as many bytes as are stored, or exceed the size */
export function checkMap(map: SparseMap, size: number, stored: number): SparseMap {
  let sum = 0;
  let end = 0;
  for (const [index, length] of map.lengths.entries()) {
    sum += length;
    end = (map.offsets[index] ?? 0) + length;
  }
  if (sum !== stored) throw new ImageError("the map of a sparse file does not fit its data");
  if (end > size) throw disorder();
  return { ...map, size };
}

function mapOf(numbers: readonly number[], size: number | null): SparseMap {
  if (numbers.length % 2 !== 0) throw disorder();
  const builder = new MapBuilder();
  let end = 0;
  for (let at = 0; at < numbers.length; at += 2) {
    const offset = numbers[at] ?? 0;
    const length = numbers[at + 1] ?? 0;
    builder.add(offset, length);
    end = offset + length;
  }
  return builder.finish(size ?? end);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw disorder();
  return value;
}
