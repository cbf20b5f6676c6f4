import { answerInit } from "../fuse/init.ts";
import { errno, initFlags, mostData, opcodes } from "../fuse/numbers.ts";
import { errnoOf, Refusal } from "../fuse/refusal.ts";
import { answer } from "../fuse/reply.ts";
import type { Request } from "../fuse/request.ts";
import type { ServedTree } from "../served-tree.ts";
import { getattr, setattr, statfs } from "./attributes.ts";
import { opendir, readdir, readdirplus } from "./directories.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./extended-attributes.ts";
import { create, fallocate, fsync, open, read, release, write } from "./files.ts";
import { link, lookup, mkdir, mknod, readlink, rename, rename2, rmdir, symlink, unlink } from "./names.ts";

type Operation = (served: ServedTree, request: Request) => Buffer | null;

const operations = new Map<number, Operation>([
  [opcodes.newsLost, newsLost],
  [opcodes.lookup, lookup],
  [opcodes.forget, forget],
  [opcodes.getattr, getattr],
  [opcodes.setattr, setattr],
  [opcodes.readlink, readlink],
  [opcodes.symlink, symlink],
  [opcodes.mknod, mknod],
  [opcodes.mkdir, mkdir],
  [opcodes.unlink, unlink],
  [opcodes.rmdir, rmdir],
  [opcodes.rename, rename],
  [opcodes.link, link],
  [opcodes.open, open],
  [opcodes.read, read],
  [opcodes.write, write],
  [opcodes.statfs, statfs],
  [opcodes.release, release],
  [opcodes.fsync, fsync],
  [opcodes.setxattr, setxattr],
  [opcodes.getxattr, getxattr],
  [opcodes.listxattr, listxattr],
  [opcodes.removexattr, removexattr],
  [opcodes.init, init],
  [opcodes.opendir, opendir],
  [opcodes.readdir, readdir],
  [opcodes.releasedir, release],
  [opcodes.create, create],
  // Nothing here waits, so there is nothing to be broken off.
  [opcodes.interrupt, () => null],
  [opcodes.batchForget, batchForget],
  [opcodes.fallocate, fallocate],
  [opcodes.readdirplus, readdirplus],
  [opcodes.rename2, rename2],
]);

/**
 * Does what a message asks for. Whatever it is, nothing is thrown.
 *
 * @returns the answer; null for a message that wants none
 */
export function serve(served: ServedTree, request: Request): Buffer | null {
  try {
    const operation = operations.get(request.opcode);
    // The kernel does without what is not there: locks and seeks for holes it does by itself, and so on.
    if (operation === undefined) throw new Refusal(errno.nosys);
    return operation(served, request);
  } catch (error) {
    return wantsNoAnswer(request) ? null : answer(served.mount, request.unique, 0, errnoOf(error));
  }
}

/** What is asked of a mount whose path could not be opened fails with ENOTCONN. @returns null for a message that wants no answer */
export function answerUnserved(mount: number, request: Request): Buffer | null {
  return wantsNoAnswer(request) ? null : answer(mount, request.unique, 0, errno.notconn);
}

function wantsNoAnswer({ opcode }: Request): boolean {
  const silent: readonly number[] = [
    opcodes.newsLost,
    opcodes.forget,
    opcodes.batchForget,
    opcodes.interrupt,
  ];
  return silent.includes(opcode);
}

function newsLost(served: ServedTree): null {
  served.newsLost();
  return null;
}

function init(served: ServedTree, request: Request): Buffer {
  return answerInit(served.mount, request, { flags: Object.values(initFlags), mostData });
}

function forget(served: ServedTree, request: Request): null {
  served.nodes.forget(request.node, request.u64());
  return null;
}

function batchForget(served: ServedTree, request: Request): null {
  const count = request.u32();
  request.skip(4);
  for (let each = 0; each < count; each++) {
    const node = request.u64();
    served.nodes.forget(node, request.u64());
  }
  return null;
}
