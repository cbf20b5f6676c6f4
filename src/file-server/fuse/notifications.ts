import { sizes } from "./numbers.ts";
import { prefixBytes, writeU64 } from "./reply.ts";

/** `fuse_notify_code`. */
const codes = { invalidNode: 2, invalidEntry: 3 } as const;

/** Nobody waits for it: where an answer has the number of its request, it has none. */
function notification(mount: number, code: number, bodyBytes: number): Buffer {
  const length = sizes.outHeader + bodyBytes;
  const message = Buffer.alloc(prefixBytes + length);
  message.writeUInt32LE(mount, 0);
  message.writeUInt32LE(length, 4);
  message.writeInt32LE(code, 8);
  return message;
}

/** What the kernel knows of a file is no longer so: its attributes, and its content when `content` is true. */
export function invalidNode(mount: number, node: number, content: boolean): Buffer {
  const message = notification(mount, codes.invalidNode, 24);
  writeU64(message, node, 20);
  // From the beginning, and all of it; -1 for nothing of it.
  message.writeBigInt64LE(content ? 0n : -1n, 28);
  return message;
}

/** An entry is no longer what the kernel knows. */
export function invalidEntry(mount: number, parent: number, name: string): Buffer {
  const message = notification(mount, codes.invalidEntry, 16 + name.length + 1);
  writeU64(message, parent, 20);
  message.writeUInt32LE(name.length, 28);
  message.write(name, 36, "latin1");
  return message;
}
