import { longestName } from "./numbers.ts";
import { answer, bodyAt, writeU64 } from "./reply.ts";
import type { Request } from "./request.ts";

/** Blocks of `blockBytes`, and inodes. */
export interface Space {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly free: number;
  /** For who is not root. */
  readonly available: number;
  readonly files: number;
  readonly freeFiles: number;
}

/** The answer to STATFS: a `fuse_statfs_out`. */
export function answerStatfs(mount: number, request: Request, space: Space): Buffer {
  const reply = answer(mount, request.unique, 80).fill(0, bodyAt);
  writeU64(reply, space.blocks, bodyAt);
  writeU64(reply, space.free, bodyAt + 8);
  writeU64(reply, space.available, bodyAt + 16);
  writeU64(reply, space.files, bodyAt + 24);
  writeU64(reply, space.freeFiles, bodyAt + 32);
  reply.writeUInt32LE(space.blockBytes, bodyAt + 40);
  reply.writeUInt32LE(longestName, bodyAt + 44);
  reply.writeUInt32LE(space.blockBytes, bodyAt + 48);
  return reply;
}
