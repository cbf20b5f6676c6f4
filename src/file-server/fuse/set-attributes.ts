import { errno, setattrFlags } from "./numbers.ts";
import { Refusal } from "./refusal.ts";
import type { Request } from "./request.ts";

/** A time that is to be set: seconds since 1970, which may be negative, and nanoseconds after that. */
export interface WantedTime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** What SETATTR asks for: a `fuse_setattr_in`. Of all but `what`, only that counts which `what` names (`setattrFlags`). */
export interface SetAttributes {
  readonly what: number;
  readonly handle: number;
  /** Bytes. */
  readonly size: number;
  readonly atime: WantedTime;
  readonly mtime: WantedTime;
  /** With the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** @throws Refusal EFBIG for a size beyond 2^53, of which nothing could be told exactly; EINVAL */
export function readSetAttributes(request: Request): SetAttributes {
  const what = request.u32();
  request.skip(4);
  const handle = request.u64();
  const size = Number(request.i64());
  if ((what & setattrFlags.size) !== 0 && (!Number.isSafeInteger(size) || size < 0))
    throw new Refusal(errno.fbig);
  request.skip(8);
  const [atime, mtime] = [request.i64(), request.i64()];
  request.skip(8);
  const [atimeNs, mtimeNs] = [request.u32(), request.u32()];
  request.skip(4);
  const mode = request.u32();
  request.skip(4);
  const [uid, gid] = [request.u32(), request.u32()];
  return {
    ...{ what, handle, size, mode, uid, gid },
    atime: { seconds: atime, nanoseconds: atimeNs },
    mtime: { seconds: mtime, nanoseconds: mtimeNs },
  };
}
