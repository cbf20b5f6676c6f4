import { errno, leastMinor, version } from "./numbers.ts";
import { Refusal } from "./refusal.ts";
import { answer, bodyAt } from "./reply.ts";
import type { Request } from "./request.ts";

/** What a mount is to be like, where the kernel offers it. */
export interface Wanted {
  /** Of `initFlags`. */
  readonly flags: readonly number[];
  /** Bytes of data of one READ or WRITE. */
  readonly mostData: number;
}

/** The answer to INIT: a `fuse_init_out`. @throws Refusal EINVAL for a kernel that is too old */
export function answerInit(mount: number, request: Request, { flags, mostData }: Wanted): Buffer {
  const [major, minor, readahead, offered] = [request.u32(), request.u32(), request.u32(), request.u32()];
  if (major !== version.major || minor < leastMinor) throw new Refusal(errno.inval);
  const wanted = flags.reduce((all, flag) => all | flag, 0);
  const reply = answer(mount, request.unique, 64).fill(0, bodyAt);
  reply.writeUInt32LE(version.major, bodyAt);
  reply.writeUInt32LE(version.minor, bodyAt + 4);
  reply.writeUInt32LE(Math.min(readahead, mostData), bodyAt + 8);
  reply.writeUInt32LE((wanted & offered) >>> 0, bodyAt + 12);
  // Requests that nobody waits for, such as reading ahead, and from how many on there is a queue.
  reply.writeUInt16LE(16, bodyAt + 16);
  reply.writeUInt16LE(12, bodyAt + 18);
  reply.writeUInt32LE(mostData, bodyAt + 20);
  // Times are told in ns.
  reply.writeUInt32LE(1, bodyAt + 24);
  reply.writeUInt16LE(mostData / 4096, bodyAt + 28);
  return reply;
}
