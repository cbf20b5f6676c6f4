import { constants } from "node:os";
import { errno } from "./numbers.ts";

/** What the guest's program gets as its error. */
export class Refusal extends Error {
  readonly errno: number;

  constructor(number: number) {
    super(`errno ${number}`);
    this.errno = number;
  }
}

const byName: Readonly<Record<string, number>> = constants.errno;

/** FUSE takes no more (linux/fs/fuse/dev.c, fuse_dev_do_write); libuv's own numbers are beyond. */
const highestErrno = 511;

/** The number for the guest of whatever went wrong: the host's own where a call of its failed, and EIO for what nobody foresaw. */
export function errnoOf(error: unknown): number {
  if (error instanceof Refusal) return error.errno;
  if (!(error instanceof Error)) return errno.io;
  const { code, errno: number } = error as NodeJS.ErrnoException;
  const named = typeof code === "string" ? byName[code] : undefined;
  if (named !== undefined) return named;
  // Node has no name for some, such as EDQUOT.
  return typeof number === "number" && number < 0 && -number <= highestErrno ? -number : errno.io;
}
