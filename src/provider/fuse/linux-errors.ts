import { Refusal } from "../../file-server/fuse/refusal.ts";

/** Linux's numbers from 1 on, whatever the host is (include/uapi/asm-generic/errno-base.h, errno.h). */
const first = [
  ..."EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK".split(
    " ",
  ),
  ..."EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE".split(
    " ",
  ),
  ..."EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP".split(" "),
];
const numbers: ReadonlyMap<string, number> = new Map([
  ...first.map((name, index) => [name, index + 1] as const),
  ...(["EWOULDBLOCK", "EDEADLOCK"] as const).map((name) => [name, name === "EWOULDBLOCK" ? 11 : 35] as const),
  ...([
    ["ENODATA", 61],
    ["EPROTO", 71],
    ["EBADMSG", 74],
    ["EOVERFLOW", 75],
    ["EILSEQ", 84],
  ] as const),
  ...([
    ["EUSERS", 87],
    ["EMSGSIZE", 90],
    ["EOPNOTSUPP", 95],
    ["ENOTSUP", 95],
    ["ENETDOWN", 100],
  ] as const),
  ...([
    ["ENETUNREACH", 101],
    ["ECONNABORTED", 103],
    ["ECONNRESET", 104],
    ["ENOBUFS", 105],
  ] as const),
  ...([
    ["ENOTCONN", 107],
    ["ESHUTDOWN", 108],
    ["ETIMEDOUT", 110],
    ["ECONNREFUSED", 111],
  ] as const),
  ...([
    ["EHOSTDOWN", 112],
    ["EHOSTUNREACH", 113],
    ["ESTALE", 116],
    ["EUCLEAN", 117],
  ] as const),
  ...([
    ["EREMOTEIO", 121],
    ["EDQUOT", 122],
    ["ENOMEDIUM", 123],
    ["ECANCELED", 125],
  ] as const),
]);

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
      const number = typeof code === "string" ? numbers.get(code) : undefined;
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
