/** Operations on what is in a file. */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { requireFromPackage } from "../../host/package-files.ts";
import { errno, mostData, openFlags, openReplyFlags, punchHole, sizes, writeFlags } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { answer, bodyAt, shortened, writeU64 } from "../fuse/reply.ts";
import type { Request } from "../fuse/request.ts";
import type { FileHandle } from "../handles.ts";
import { fileBytes, type Quota } from "../quota.ts";
import type { ServedTree } from "../served-tree.ts";
import { fileTypes, typeOf, type Node } from "../tree/node.ts";
import { fresh } from "./names.ts";

const keptFlags = openFlags.accessMode | openFlags.truncate | openFlags.append;

export function open(served: ServedTree, request: Request): Buffer {
  const node = served.nodes.get(request.node);
  const flags = request.u32();
  const truncates = (flags & openFlags.truncate) !== 0;
  if ((flags & openFlags.accessMode) !== 0 || truncates) served.requireWritable();
  if (node.identity.type !== fileTypes.regular) throw new Refusal(errno.acces);
  served.handles.requireRoom();
  const writes = (flags & openFlags.accessMode) !== 0 || truncates;
  if (writes) served.tree.writable(node, truncates);
  const before = truncates && served.quota.isLimited ? served.tree.stat(node) : null;
  const fd = served.tree.open(node, (flags & keptFlags) | constants.O_NONBLOCK);
  if (before !== null) served.quota.giveBack(Number(before.size));
  if (!writes) served.tree.opened(node, fd);
  const reply = answer(served.mount, request.unique, sizes.openOut);
  const isAsTold = truncates || served.isAsTold(node, fstatSync(fd, { bigint: true }));
  writeOpened(served, reply, bodyAt, handleOf(node, fd, flags), isAsTold);
  return reply;
}

export function create(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const [flags, mode] = [request.u32(), request.u32() & 0o7777];
  request.skip(8);
  const name = request.name();
  served.handles.requireRoom();
  const before = served.tree.statEntry(parent, name);
  // Opening anything else might do something, or wait.
  if (before !== undefined && typeOf(before) !== fileTypes.regular) throw new Refusal(errno.exist);
  if (before === undefined || (flags & openFlags.exclusive) !== 0) served.tree.requireFree(parent, name);
  // The kernel asked before it knew of this one: it looks again.
  else if (!served.tree.isGuests(parent, name)) throw new Refusal(errno.stale);
  const kept = (flags & (keptFlags | openFlags.exclusive)) | constants.O_CREAT;
  const hostMode = served.owners.hostMode(mode, false);
  const fd = served.quota.adding(before === undefined ? fileBytes : 0, () =>
    openSync(served.tree.pathIn(parent, name), kept | constants.O_NOFOLLOW | constants.O_NONBLOCK, hostMode),
  );
  if (before !== undefined && (flags & openFlags.truncate) !== 0) served.quota.giveBack(Number(before.size));
  try {
    // What happens after the look is heard of.
    served.watch(parent);
    const stat = fstatSync(fd, { bigint: true });
    if (typeOf(stat) !== fileTypes.regular) throw new Refusal(errno.acces);
    const maker = { uid: request.uid, gid: request.gid, mode: fileTypes.regular | mode, rdev: 0 };
    return served.tell({ parent, name }, stat, (node) => {
      if (before === undefined) served.owners.created(node, stat, maker);
      const reply = served.entry(request, node, parent, name, fresh(served, node, stat), sizes.openOut);
      writeOpened(served, reply, bodyAt + sizes.entryOut, handleOf(node, fd, flags));
      return reply;
    });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

export function read(served: ServedTree, request: Request): Buffer {
  const { fd } = served.handles.file(request.u64());
  const [offset, size] = [request.u64(), request.u32()];
  if (size > mostData) throw new Refusal(errno.inval);
  const reply = answer(served.mount, request.unique, size);
  let count = 0;
  while (count < size) {
    const some = readSync(fd, reply, bodyAt + count, size - count, offset + count);
    if (some === 0) break;
    count += some;
  }
  return count === size ? reply : shortened(reply, count);
}

export function write(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const handle = served.handles.file(request.u64());
  const [offset, size, flags] = [request.u64(), request.u32(), request.u32()];
  request.skip(16);
  const data = request.bytes(size);
  if (!handle.isWritable) throw new Refusal(errno.badf);
  const fd = placed(handle, flags);
  const written = served.quota.isLimited
    ? writeLimited(served.quota, handle, fd, data, offset)
    : writeAll(fd, data, offset);
  if ((flags & writeFlags.killSuidgid) !== 0) {
    served.owners.killSetId(handle.node, fstatSync(fd, { bigint: true }));
  }
  const reply = answer(served.mount, request.unique, 8);
  writeU64(reply, written, bodyAt);
  return reply;
}

function writeAll(fd: number, data: Uint8Array, offset: number): number {
  let written = 0;
  while (written < data.length)
    written += writeSync(fd, data, written, data.length - written, offset + written);
  return written;
}

function writeLimited(
  quota: Quota,
  handle: FileHandle,
  fd: number,
  data: Uint8Array,
  offset: number,
): number {
  const { size: before } = fstatSync(fd);
  const more = Math.max(0, (handle.appends && fd === handle.fd ? before : offset) + data.length - before);
  quota.add(more);
  try {
    return writeAll(fd, data, offset);
  } catch (error) {
    // A part of it may be there.
    quota.giveBack(more - Math.min(more, Math.max(0, fstatSync(fd).size - before)));
    throw error;
  }
}

export function release(served: ServedTree, request: Request): Buffer {
  const number = request.u64();
  const handle = served.handles.peek(number);
  if (handle?.kind === "file") {
    const isLast = handle.node.open.size === 1;
    if (handle.isWritable || (isLast && served.quota.isLimited)) {
      const stat = fstatSync(handle.fd, { bigint: true });
      if (handle.isWritable) handle.node.leftMtimeNs = stat.mtimeNs;
      if (isLast && stat.nlink === 0n) served.quota.removed(stat);
    }
  }
  const node = served.handles.release(number);
  if (node !== null) served.nodes.dropUnused(node);
  return served.done(request);
}

export function fsync(served: ServedTree, request: Request): Buffer {
  const { fd } = served.handles.file(request.u64());
  if ((request.u32() & 1) === 0) fsyncSync(fd);
  else fdatasyncSync(fd);
  return served.done(request);
}

/** Only holes can be made. To the rest programs have an answer: they write zeros, as where a file system cannot do it. */
export function fallocate(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const handle = served.handles.file(request.u64());
  const [offset, length, mode] = [request.u64(), request.u64(), request.u32()];
  if (mode !== punchHole) throw new Refusal(errno.opnotsupp);
  if (!handle.isWritable) throw new Refusal(errno.badf);
  const native = requireFromPackage("fs-native-extensions") as {
    trimSync(fd: number, offset: number, length: number): void;
  };
  native.trimSync(handle.fd, offset, length);
  return served.done(request);
}

function handleOf(node: Node, fd: number, flags: number): FileHandle {
  const isWritable = (flags & openFlags.accessMode) !== 0;
  return { kind: "file", node, fd, isWritable, appends: (flags & openFlags.append) !== 0, placedFd: -1 };
}

function writeOpened(
  served: ServedTree,
  reply: Buffer,
  at: number,
  handle: FileHandle,
  keepsCache = true,
): void {
  writeU64(reply, served.handles.add(handle), at);
  // What the guest has of it in memory is checked by time and size, whenever it asks for those.
  reply.writeUInt32LE(keepsCache ? openReplyFlags.keepCache : 0, at + 8);
  reply.writeUInt32LE(0, at + 12);
}

/** The descriptor to write with: what comes from mapped memory has its place, and an appending descriptor knows none. */
function placed(handle: FileHandle, flags: number): number {
  if (!handle.appends || (flags & writeFlags.cache) === 0) return handle.fd;
  if (handle.placedFd < 0) handle.placedFd = openSync(`/proc/self/fd/${handle.fd}`, constants.O_RDWR);
  return handle.placedFd;
}
