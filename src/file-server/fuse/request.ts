import { errno, longestName, sizes } from "./numbers.ts";
import { Refusal } from "./refusal.ts";

/**
 * One message of the guest's. It may be anything: every read is inside the message, or the request is refused with EINVAL.
 * Numbers of 64 bits above 2^53 are no number that this server has given, and are refused, too.
 */
export class Request {
  readonly opcode: number;
  /** For the answer. */
  readonly unique: Buffer;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  readonly #bytes: Buffer;
  #at: number = sizes.inHeader;

  /** @param bytes a whole message, at least its header */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.opcode = bytes.readUInt32LE(4);
    this.unique = bytes.subarray(8, 16);
    const [low, high] = [bytes.readUInt32LE(16), bytes.readUInt32LE(20)];
    this.node = high < 1 << 21 ? high * 0x1_0000_0000 + low : -1;
    this.uid = bytes.readUInt32LE(24);
    this.gid = bytes.readUInt32LE(28);
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#bytes.readUInt32LE(at + 4);
    if (high >= 1 << 21) throw new Refusal(errno.inval);
    return high * 0x1_0000_0000 + this.#bytes.readUInt32LE(at);
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  /** Seconds, which may be before 1970, as they are. */
  i64(): bigint {
    return this.#bytes.readBigInt64LE(this.#take(8));
  }

  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** A name of a directory's entry, one character for each byte. */
  name(): string {
    const name = this.text(longestName);
    if (name === "" || name === "." || name === ".." || name.includes("/")) throw new Refusal(errno.inval);
    return name;
  }

  /** What comes before the next zero byte, one character for each byte. */
  text(longest: number): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new Refusal(errno.inval);
    if (end - this.#at > longest) throw new Refusal(errno.nametoolong);
    const text = this.#bytes.toString("latin1", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new Refusal(errno.inval);
    this.#at = at + count;
    return at;
  }
}
