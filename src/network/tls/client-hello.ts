import { MalformedHello, type ClientHelloResult } from "./client-hello-result.ts";
import { readHello } from "./hello-message.ts";

/**
 * Bytes of a flow, those of the record layer included, within which its first message has to end. Real ones have some 300 to 2,000
 * bytes, the long ones because of post-quantum keys.
 */
export const clientHelloLimit: number = 16 * 1024;

const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
const handshakeRecord = 22;
/** RFC 8446, 5.1. */
const maxRecordBytes = 1 << 14;

/**
 * Reads what the first bytes that a TLS client sends say of its connection (RFC 8446, 4.1.2 and 5.1; RFC 6066, 3), in whatever
 * pieces they come: the message may be spread over records, and records over reads. It is stricter than servers are, and keeps no
 * more than {@link clientHelloLimit}.
 *
 * Who decides by the name has to refuse `malformed`, and `incomplete` when no more is waited for: the server may well find a name
 * there, and another one than was allowed. Encrypted Client Hello hides the inner name; what is read is the outer one, which the
 * client's provider chose for all to see.
 */
export class ClientHelloReader {
  readonly #header = Buffer.alloc(recordHeaderBytes);
  #headerBytes = 0;
  /** Of the record that is being read. */
  #recordBytesLeft = 0;
  readonly #messageHeader = Buffer.alloc(messageHeaderBytes);
  /** With its header; null: its length is not known yet. */
  #message: Buffer | null = null;
  #messageBytes = 0;
  #totalBytes = 0;
  #result: ClientHelloResult = { kind: "incomplete" };

  /**
   * Takes the next bytes; they are copied where they are kept.
   *
   * @returns what all bytes until now are. Anything but `incomplete` is final: more bytes change nothing.
   */
  push(bytes: Uint8Array): ClientHelloResult {
    if (this.#result.kind !== "incomplete") return this.#result;
    try {
      this.#result = this.#read(bytes);
    } catch (error) {
      if (!(error instanceof MalformedHello)) throw error;
      this.#result = { kind: "malformed", reason: error.message };
    }
    return this.#result;
  }

  #read(bytes: Uint8Array): ClientHelloResult {
    let at = 0;
    while (at < bytes.length && this.#totalBytes < clientHelloLimit) {
      if (this.#recordBytesLeft === 0) {
        this.#header[this.#headerBytes++] = bytes[at++] ?? 0;
        this.#totalBytes++;
        if (!this.#checkRecordHeader()) return { kind: "other" };
        continue;
      }
      const taken = Math.min(this.#recordBytesLeft, bytes.length - at, clientHelloLimit - this.#totalBytes);
      const used = this.#takeMessage(bytes.subarray(at, at + taken));
      at += used;
      this.#totalBytes += used;
      this.#recordBytesLeft -= used;
      if (this.#message !== null && this.#messageBytes === this.#message.length)
        return { kind: "hello", ...readHello(this.#message.subarray(messageHeaderBytes)) };
    }
    if (this.#totalBytes >= clientHelloLimit)
      throw new MalformedHello("no end of a ClientHello within 16 KiB");
    return { kind: "incomplete" };
  }

  /**
   * Judges each byte of a record's header as soon as it is there.
   *
   * @returns false when it is no TLS at all
   */
  #checkRecordHeader(): boolean {
    const [type = 0, major = 0, minor = 0] = this.#header;
    const isFirst = this.#messageBytes === 0;
    switch (this.#headerBytes) {
      case 1:
        // 20 to 24 are the types that there are. The first byte of SSL 2.0's hello is 128 or more.
        if (isFirst) return type >= 20 && type <= 24;
        break;
      case 2:
        if (major !== 3) {
          if (isFirst) return false;
          throw new MalformedHello(`a record of version ${major}`);
        }
        // No client begins like this, and a server may pass over it.
        if (type !== handshakeRecord)
          throw new MalformedHello(`a record of type ${type} before the ClientHello`);
        break;
      case 3:
        if (minor > 4) throw new MalformedHello(`a record of version 3.${minor}`);
        break;
      case recordHeaderBytes: {
        const length = this.#header.readUInt16BE(3);
        // An empty one is forbidden for handshakes, and OpenSSL passes over it.
        if (length === 0 || length > maxRecordBytes) throw new MalformedHello(`a record of ${length} bytes`);
        this.#recordBytesLeft = length;
        this.#headerBytes = 0;
      }
    }
    return true;
  }

  /** @returns how many bytes it has taken: at least one */
  #takeMessage(bytes: Uint8Array): number {
    if (this.#message !== null) {
      const piece = bytes.subarray(0, this.#message.length - this.#messageBytes);
      this.#message.set(piece, this.#messageBytes);
      this.#messageBytes += piece.length;
      return piece.length;
    }
    this.#messageHeader[this.#messageBytes++] = bytes[0] ?? 0;
    const type = this.#messageHeader[0] ?? 0;
    if (type !== 1) throw new MalformedHello(`a handshake that begins with a message of type ${type}`);
    if (this.#messageBytes === messageHeaderBytes) {
      const length = messageHeaderBytes + this.#messageHeader.readUIntBE(1, 3);
      if (length + recordHeaderBytes > clientHelloLimit)
        throw new MalformedHello(`a ClientHello of ${length} bytes`);
      this.#message = Buffer.alloc(length);
      this.#messageHeader.copy(this.#message);
    }
    return 1;
  }
}
