import { sizes } from "./numbers.ts";

/** Bytes of the number of the mount, before each message. */
export const prefixBytes = 4;

/** An answer with room for so many bytes after its header, with the prefix that the relay wants. */
export function answer(mount: number, unique: Buffer, bodyBytes: number, error = 0): Buffer {
  const length = sizes.outHeader + bodyBytes;
  const message = Buffer.allocUnsafe(prefixBytes + length);
  message.writeUInt32LE(mount, 0);
  message.writeUInt32LE(length, 4);
  message.writeInt32LE(-error, 8);
  unique.copy(message, 12);
  return message;
}

/** Where the body of an answer begins. */
export const bodyAt = prefixBytes + sizes.outHeader;

/** An answer that was made with more room than is needed, cut to `bodyBytes`. */
export function shortened(message: Buffer, bodyBytes: number): Buffer {
  message.writeUInt32LE(sizes.outHeader + bodyBytes, 4);
  return message.subarray(0, bodyAt + bodyBytes);
}

/** A whole number of at most 53 bits. */
export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, at);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}
