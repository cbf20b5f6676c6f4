import { MessageStream } from "../../src/file-server/fuse/message-stream.ts";
import { mostForwardedMessage, opcodes, sizes } from "../../src/file-server/fuse/numbers.ts";

/** An answer as the guest's kernel takes it. */
export interface Answer {
  readonly mount: number;
  /** 0, or the number of an error. */
  readonly errno: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

let lastUnique = 0n;

/** One message as the relay sends it: the mount's number, then the kernel's request (linux/fuse.h). */
export function requestOf(
  operation: keyof typeof opcodes,
  node: number,
  body: Buffer = Buffer.alloc(0),
  { mount = 0, uid = 0, gid = 0 } = {},
): Buffer {
  const message = Buffer.alloc(4 + sizes.inHeader + body.length);
  message.writeUInt32LE(mount, 0);
  message.writeUInt32LE(sizes.inHeader + body.length, 4);
  message.writeUInt32LE(opcodes[operation], 8);
  message.writeBigUInt64LE(++lastUnique, 12);
  message.writeBigUInt64LE(BigInt(node), 20);
  message.writeUInt32LE(uid, 28);
  message.writeUInt32LE(gid, 32);
  message.writeUInt32LE(1234, 36);
  body.copy(message, 4 + sizes.inHeader);
  return message;
}

export function parseAnswer(message: Buffer): Answer {
  return {
    mount: message.readUInt32LE(0),
    errno: -message.readInt32LE(8) || 0,
    unique: message.readBigUInt64LE(12),
    body: message.subarray(20),
  };
}

/** Cuts what comes of a mount that a program serves into answers. */
export class AnswerReader {
  readonly #stream = new MessageStream(sizes.outHeader, mostForwardedMessage);

  push(bytes: Buffer): Answer[] {
    this.#stream.push(bytes);
    const answers: Answer[] = [];
    for (let next = this.#stream.next(); next !== null; next = this.#stream.next())
      answers.push(parseAnswer(Buffer.concat([Buffer.alloc(4), next.message])));
    return answers;
  }
}

/** The fields of a structure, each a `u32` or a `u64`. */
export function fields(...values: readonly (readonly [32 | 64, number])[]): Buffer {
  return Buffer.concat(
    values.map(([bits, value]) => {
      const bytes = Buffer.alloc(bits / 8);
      if (bits === 32) bytes.writeUInt32LE(value >>> 0);
      else bytes.writeBigUInt64LE(BigInt(value));
      return bytes;
    }),
  );
}

/** Names or texts, each with the zero byte that ends it. */
export function texts(...values: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(values.flatMap((value) => [Buffer.from(value), Buffer.from([0])]));
}

/** What a `fuse_attr` at `at` says. */
export function attributesAt(
  body: Buffer,
  at: number,
): {
  readonly ino: bigint;
  readonly size: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly mtimeSeconds: number;
} {
  return {
    ino: body.readBigUInt64LE(at),
    size: Number(body.readBigUInt64LE(at + 8)),
    mtimeSeconds: Number(body.readBigUInt64LE(at + 32)),
    mode: body.readUInt32LE(at + 60),
    nlink: body.readUInt32LE(at + 64),
    uid: body.readUInt32LE(at + 68),
    gid: body.readUInt32LE(at + 72),
    rdev: body.readUInt32LE(at + 76),
  };
}
