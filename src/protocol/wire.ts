/**
 * The field types of `schema/types.ts` as bytes. Only the generated codecs use these two classes.
 *
 * Every reader method refuses with a `ProtocolError` what the schema's table does not allow, and none allocates by a length
 * that it has not compared with the bytes that are there.
 */

import { isUtf8 } from "node:buffer";

import type { ProtocolError } from "../errors/index.ts";
import { unsendable, violation } from "./violation.ts";

const INITIAL_CAPACITY = 128;

/** Appends fields to a growing buffer. */
export class WireWriter {
  /** The message being written, for errors. */
  readonly #message: string;
  #bytes = Buffer.allocUnsafe(INITIAL_CAPACITY);
  #length = 0;

  constructor(message: string) {
    this.#message = message;
  }

  u8(value: number): void {
    this.#checkInteger(value, 0, 0xff, "a u8");
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    this.#checkInteger(value, 0, 0xffff, "a u16");
    const at = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    this.#checkInteger(value, 0, 0xffff_ffff, "a u32");
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  i32(value: number): void {
    this.#checkInteger(value, -0x8000_0000, 0x7fff_ffff, "an i32");
    const at = this.#reserve(4);
    this.#bytes.writeInt32BE(value, at);
  }

  u53(value: number): void {
    this.#checkInteger(value, 0, Number.MAX_SAFE_INTEGER, "a u53");
    const at = this.#reserve(8);
    this.#bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.#bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
  }

  u64(value: bigint): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw this.#refuse(value, "a u64");
    const at = this.#reserve(8);
    this.#bytes.writeBigUInt64BE(value, at);
  }

  i64(value: bigint): void {
    if (value < -0x8000_0000_0000_0000n || value > 0x7fff_ffff_ffff_ffffn)
      throw this.#refuse(value, "an i64");
    const at = this.#reserve(8);
    this.#bytes.writeBigInt64BE(value, at);
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  /** Refuses a lone surrogate: it has no UTF-8 form, and replacing it would change the caller's string in silence. */
  str(value: string): void {
    if (!value.isWellFormed()) throw this.#refuse(value, "a string of Unicode characters");
    const length = Buffer.byteLength(value);
    this.u32(length);
    const at = this.#reserve(length);
    this.#bytes.write(value, at);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.u32(items.length);
    for (const item of items) write(item);
  }

  optional<T>(value: T | null, write: (value: T) => void): void {
    this.bool(value !== null);
    if (value !== null) write(value);
  }

  choice<T extends string>(choices: readonly T[], value: T): void {
    const index = choices.indexOf(value);
    if (index < 0) throw this.#refuse(value, `one of ${choices.join(", ")}`);
    this.u8(index);
  }

  /** The bytes written so far; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #checkInteger(value: number, minimum: number, maximum: number, type: string): void {
    if (!Number.isInteger(value) || value < minimum || value > maximum) throw this.#refuse(value, type);
  }

  #refuse(value: unknown, type: string): ProtocolError {
    return unsendable(
      `${this.#message}: ${String(value)} is not ${type}`,
      "Pass a value of the range that the protocol's schema gives for this field.",
    );
  }

  /** Makes room for `count` bytes and returns the offset at which they start. */
  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = end;
    return at;
  }
}

/** Takes fields from the front of a message's bytes. */
export class WireReader {
  /** The message being read, for errors. */
  message = "message";
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  u53(): number {
    const at = this.#take(8);
    const high = this.#bytes.readUInt32BE(at);
    if (high > 0x1f_ffff) throw this.#refuse(at, "u53 out of range");
    return high * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw this.#refuse(this.#at - 1, "bad bool");
    return value === 1;
  }

  str(): string {
    const bytes = this.#slice();
    if (!isUtf8(bytes)) throw this.#refuse(this.#at - bytes.length, "invalid UTF-8");
    return bytes.toString("utf8");
  }

  /** A view of the message's own memory, not a copy. */
  bytes(): Uint8Array {
    return this.#slice();
  }

  /** `minimumBytes` is the size of the smallest element: a count that cannot fit in what is left is refused at once. */
  list<T>(minimumBytes: number, read: () => T): T[] {
    const count = this.u32();
    if (count * minimumBytes > this.#bytes.length - this.#at) throw this.#truncated(this.#at - 4);
    const items: T[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  optional<T>(read: () => T): T | null {
    return this.bool() ? read() : null;
  }

  choice<T extends string>(choices: readonly T[]): T {
    const value = choices[this.u8()];
    if (value === undefined) throw this.#refuse(this.#at - 1, "bad enum index");
    return value;
  }

  /** Refuses bytes after the last field. */
  end(): void {
    if (this.#at < this.#bytes.length) throw this.#refuse(this.#at, "trailing bytes");
  }

  /** The bytes behind a u32 length. */
  #slice(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw this.#truncated(at);
    this.#at = at + count;
    return at;
  }

  #truncated(at: number): ProtocolError {
    return this.#refuse(at, "truncated message");
  }

  #refuse(at: number, rule: string): ProtocolError {
    return violation(`${rule}: ${this.message} of ${this.#bytes.length} bytes, at byte ${at}`);
  }
}
