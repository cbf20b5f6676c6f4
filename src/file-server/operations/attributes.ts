/** Operations on what is told of a file. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lutimesSync,
  statfsSync,
} from "node:fs";
import { errno, getattrHandle, setattrFlags as valid } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { Request } from "../fuse/request.ts";
import { readSetAttributes, type WantedTime } from "../fuse/set-attributes.ts";
import { answerStatfs } from "../fuse/statfs.ts";
import type { ServedTree } from "../served-tree.ts";
import { fileTypes, isSame, type Node } from "../tree/node.ts";

const changing = valid.size | valid.mode | valid.uid | valid.gid | valid.atime | valid.mtime;

export function getattr(served: ServedTree, request: Request): Buffer {
  const node = served.nodes.get(request.node);
  const flags = request.u32();
  request.skip(4);
  const handle = request.u64();
  const hasHandle = (flags & getattrHandle) !== 0;
  const stat = hasHandle
    ? fstatSync(served.handles.file(handle).fd, { bigint: true })
    : served.tree.stat(node);
  return served.attributes(request, node, stat);
}

export function setattr(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const node = served.nodes.get(request.node);
  const { what, handle, size, atime, mtime, mode, uid, gid } = readSetAttributes(request);

  // The time of the last change alone is nobody's wish.
  if ((what & changing) !== 0) served.tree.writable(node, (what & valid.size) !== 0 && size === 0);
  if ((what & valid.size) !== 0) {
    truncate(served, node, (what & valid.handle) === 0 ? null : handle, size);
    if ((what & valid.killSuidgid) !== 0) served.owners.killSetId(node, served.tree.stat(node));
  }
  if ((what & (valid.mode | valid.uid | valid.gid)) !== 0) {
    served.owners.change(node, {
      ...((what & valid.mode) === 0 ? {} : { mode: mode & 0o7777 }),
      ...((what & valid.uid) === 0 ? {} : { uid }),
      ...((what & valid.gid) === 0 ? {} : { gid }),
    });
  }
  if ((what & (valid.atime | valid.mtime)) !== 0) {
    const before = served.tree.stat(node);
    setTimes(served, node, {
      atime: timeOf(what, valid.atime, valid.atimeNow, atime, before.atimeNs),
      mtime: timeOf(what, valid.mtime, valid.mtimeNow, mtime, before.mtimeNs),
    });
  }
  return served.attributes(request, node, served.tree.stat(node));
}

function truncate(served: ServedTree, node: Node, handle: number | null, size: number): void {
  if (node.identity.type !== fileTypes.regular) throw new Refusal(errno.inval);
  const file = handle === null ? null : served.handles.file(handle);
  const own = file?.isWritable === true && file.node === node ? file.fd : -1;
  const fd = own >= 0 ? own : served.tree.open(node, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    const before = served.quota.isLimited ? fstatSync(fd).size : 0;
    served.quota.adding(size - before, () => ftruncateSync(fd, size));
    if (size < before) served.quota.giveBack(before - size);
  } finally {
    if (own < 0) closeSync(fd);
  }
}

/** Seconds since 1970, as Node wants times: a number, which holds them to a quarter of a microsecond. */
function timeOf(what: number, flag: number, now: number, wanted: WantedTime, before: bigint): number {
  if ((what & flag) === 0) return Number(before) / 1e9;
  return (what & now) === 0 ? Number(wanted.seconds) + wanted.nanoseconds / 1e9 : Date.now() / 1000;
}

function setTimes(served: ServedTree, node: Node, { atime, mtime }: { atime: number; mtime: number }): void {
  // One that is open is of this very file; of a file with a layer the host's must not be reached by it, whatever has failed before.
  for (const fd of node.open.values()) {
    if (!isSame(node, fstatSync(fd, { bigint: true }))) continue;
    futimesSync(fd, atime, mtime);
    return;
  }
  lutimesSync(served.tree.pathOf(node), atime, mtime);
}

export function statfs(served: ServedTree, request: Request): Buffer {
  const path = served.tree.pathOf(served.nodes.root);
  const stat = statfsSync(path);
  const left = served.quota.left;
  const free = (blocks: number): number =>
    left === null ? blocks : Math.min(blocks, Math.floor(left / stat.bsize));
  return answerStatfs(served.mount, request, {
    blockBytes: stat.bsize,
    blocks: stat.blocks,
    free: free(stat.bfree),
    available: free(stat.bavail),
    files: stat.files,
    freeFiles: stat.ffree,
  });
}
