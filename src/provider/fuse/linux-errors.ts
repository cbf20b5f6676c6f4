import { Refusal } from "../../file-server/fuse/refusal.ts";

/** Linux's numbers, whatever the host is (include/uapi/asm-generic/errno-base.h, errno.h). */
const numbers: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EWOULDBLOCK: 11,
  EDEADLOCK: 35,
  ENODATA: 61,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EUSERS: 87,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  ESTALE: 116,
  EUCLEAN: 117,
  EREMOTEIO: 121,
  EDQUOT: 122,
  ENOMEDIUM: 123,
  ECANCELED: 125,
};

const notImplemented = 38;
const notSupported = 95;
/** Errors have causes that have causes. */
const deepest = 5;

/** What a provider has thrown, as Linux numbers it; null when neither it nor what caused it has the name of a system error. */
export function linuxErrno(thrown: unknown): number | null {
  try {
    let error: unknown = thrown;
    for (let depth = 0; depth < deepest && typeof error === "object" && error !== null; depth++) {
      if (error instanceof Refusal) return error.errno;
      const code: unknown = Reflect.get(error, "code");
      const number = typeof code === "string" && Object.hasOwn(numbers, code) ? numbers[code] : undefined;
      // ENOSYS the kernel takes for "never": it would not ask again.
      if (number !== undefined) return number === notImplemented ? notSupported : number;
      error = Reflect.get(error, "cause");
    }
  } catch {
    // Whoever throws may throw what throws.
  }
  return null;
}

/** An error as providers throw it. */
export function systemError(code: string, path: string): Error & { readonly code: string } {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
