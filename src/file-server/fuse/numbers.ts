/** FUSE's numbers as in version 7.38 of its protocol (include/uapi/linux/fuse.h), which is what Linux 6.1 speaks. */

/** Version of the protocol that is answered with; the guest's kernel uses the lesser of its own and this one. */
export const version = { major: 7, minor: 38 } as const;
/** The least that is understood: Linux 5.4 speaks it. */
export const leastMinor = 31;

export const rootNodeId = 1;

export const opcodes = {
  /** No kernel's but our relay's own: it had no room for what was sent without being asked for. Nobody waits for an answer. */
  newsLost: 0,
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
} as const;

/** `FUSE_*` flags of INIT that this server wants, where the kernel offers them. */
export const initFlags = {
  asyncRead: 1 << 0,
  /** O_TRUNC comes with OPEN. */
  atomicTrunc: 1 << 3,
  bigWrites: 1 << 5,
  /** Cached pages go when the time or the size of a file has changed on the host. */
  autoInvalData: 1 << 12,
  readdirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  parallelDirops: 1 << 18,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  /** The server takes set-user-ID bits away, so that the kernel need not ask for capabilities before each write. */
  handleKillprivV2: 1 << 28,
} as const;

export const setattrFlags = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  killSuidgid: 1 << 11,
} as const;

export const openReplyFlags = { keepCache: 1 << 1, cacheDirectory: 1 << 3 } as const;

export const writeFlags = {
  /** Written back from memory that was mapped: which of the open files it came through is a guess. */
  cache: 1 << 0,
  killSuidgid: 1 << 2,
} as const;

export const getattrHandle = 1 << 0;

/** Sizes of structures, bytes. */
export const sizes = {
  inHeader: 40,
  outHeader: 16,
  attr: 88,
  entryOut: 128,
  attrOut: 104,
  openOut: 16,
  dirent: 24,
} as const;

/** Bytes of data of one READ or WRITE. */
export const mostData = 1 << 20;
/** The largest message: that, and a page of what describes it. */
export const mostMessage = mostData + 4096;
/** Bytes of data of one READ or WRITE of a mount that a program serves: less, because many of them are held on their way there. */
export const mostForwardedData = 256 << 10;
/** The largest message of such a mount. */
export const mostForwardedMessage = mostForwardedData + 4096;
/** NAME_MAX. */
export const longestName = 255;
/** PATH_MAX, of a link's target. */
export const longestPath = 4095;

/** Open flags that are the same on all of Linux's architectures (asm-generic/fcntl.h). */
export const openFlags = { accessMode: 3, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const;

/** `RENAME_*` flags of RENAME2 (linux/fs.h). */
export const renameFlags = { noReplace: 1, exchange: 2 } as const;

/** `FALLOC_FL_*` (linux/falloc.h). */
export const punchHole = 2 | 1;

/** System errors by their numbers on Linux, which is what the guest is. */
export const errno = {
  perm: 1,
  noent: 2,
  intr: 4,
  io: 5,
  toobig: 7,
  badf: 9,
  nomem: 12,
  acces: 13,
  exist: 17,
  xdev: 18,
  notdir: 20,
  isdir: 21,
  inval: 22,
  nfile: 23,
  fbig: 27,
  nospc: 28,
  rofs: 30,
  range: 34,
  nametoolong: 36,
  nosys: 38,
  notempty: 39,
  nodata: 61,
  ilseq: 84,
  opnotsupp: 95,
  notconn: 107,
  timedout: 110,
  stale: 116,
} as const;
