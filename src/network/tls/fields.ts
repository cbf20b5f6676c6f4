import { MalformedHello } from "./client-hello-result.ts";

/** Reads what lies one after the other (RFC 8446, 3). Every method throws {@link MalformedHello} when there is less than it should read. */
export class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(bytes: 1 | 2): number {
    return this.skip(bytes).readUIntBE(0, bytes);
  }

  /** Bytes behind their own length, which has so many bytes. */
  vector(lengthBytes: 1 | 2): Buffer {
    return this.skip(this.number(lengthBytes));
  }

  skip(bytes: number): Buffer {
    const end = this.#at + bytes;
    if (end > this.#bytes.length) throw new MalformedHello("a length that leads behind the end");
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  end(): void {
    if (!this.isAtEnd) throw new MalformedHello("bytes behind the end");
  }
}
