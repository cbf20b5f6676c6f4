/** Operations on the names in a directory. */
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  type BigIntStats,
} from "node:fs";
import { errno, longestPath, renameFlags } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { Request } from "../fuse/request.ts";
import { fileBytes } from "../quota.ts";
import type { ServedTree } from "../served-tree.ts";
import { fileTypes, type Node } from "../tree/node.ts";
import { swapNames } from "./swap-names.ts";

export function lookup(served: ServedTree, request: Request): Buffer {
  const parent = served.directory(request.node);
  const name = request.name();
  const stat = served.statToTell(parent, name);
  if (stat === undefined) return served.noEntry(request, parent, name);
  return served.tell({ parent, name }, stat, (node) => served.entry(request, node, parent, name, stat));
}

export function readlink(served: ServedTree, request: Request): Buffer {
  const path = served.tree.pathOf(served.nodes.get(request.node));
  return served.bytes(request, readlinkSync(path, { encoding: "buffer" }));
}

export function symlink(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const name = request.name();
  // It is a text for the guest, and the host never looks at what it says.
  const target = Buffer.from(request.text(longestPath), "latin1");
  served.tree.requireFree(parent, name);
  served.quota.addingFile(() => symlinkSync(target, served.tree.pathIn(parent, name)));
  return made(served, request, parent, name, fileTypes.symbolicLink | 0o777);
}

export function mkdir(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const mode = request.u32() & 0o7777;
  request.skip(4);
  const name = request.name();
  const hostMode = served.owners.hostMode(mode, true);
  served.tree.requireFree(parent, name);
  served.quota.addingFile(() => mkdirSync(served.tree.pathIn(parent, name), { mode: hostMode }));
  return made(served, request, parent, name, fileTypes.directory | mode);
}

/** Devices, pipes and sockets are the guest's: on the host they are empty files that remember what they are in the guest. */
export function mknod(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const [mode, rdev] = [request.u32(), request.u32()];
  request.skip(8);
  const name = request.name();
  const type = mode & fileTypes.mask;
  if (type !== fileTypes.regular && !served.owners.keepsTypes) throw new Refusal(errno.perm);
  served.tree.requireFree(parent, name);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
  const hostMode = served.owners.hostMode(mode & 0o7777, false);
  closeSync(served.quota.addingFile(() => openSync(served.tree.pathIn(parent, name), flags, hostMode)));
  return made(served, request, parent, name, mode & 0o177777, rdev);
}

export function unlink(served: ServedTree, request: Request): Buffer {
  return remove(served, request, false);
}

export function rmdir(served: ServedTree, request: Request): Buffer {
  return remove(served, request, true);
}

export function link(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const node = served.nodes.get(request.u64());
  const name = request.name();
  served.tree.requireFree(parent, name);
  served.tree.writable(node, false);
  // Both paths are good: the directories of the two were used last.
  const target = served.tree.pathOf(node);
  served.quota.addingFile(() => linkSync(target, served.tree.pathIn(parent, name)));
  return found(served, request, parent, name);
}

export function rename(served: ServedTree, request: Request): Buffer {
  return move(served, request, request.u64(), 0);
}

export function rename2(served: ServedTree, request: Request): Buffer {
  const to = request.u64();
  const flags = request.u32();
  request.skip(4);
  return move(served, request, to, flags);
}

function move(served: ServedTree, request: Request, toId: number, flags: number): Buffer {
  served.requireWritable();
  const [from, to] = [served.directory(request.node), served.directory(toId)];
  const [oldName, newName] = [request.name(), request.name()];
  if (flags !== 0 && flags !== renameFlags.noReplace && flags !== renameFlags.exchange)
    throw new Refusal(errno.inval);
  const done = served.tree.beforeMove({ parent: from, name: oldName }, { parent: to, name: newName }, flags);
  const stat = served.tree.statEntry(from, oldName);
  if (stat === undefined) throw new Refusal(errno.noent);
  const replaced = served.tree.statEntry(to, newName);
  const givesRoom = served.tree.isGuests(to, newName);
  const paths = [served.tree.pathIn(from, oldName), served.tree.pathIn(to, newName)] as const;
  if (flags === 0) renameSync(...paths);
  else if (flags === renameFlags.noReplace) {
    if (replaced !== undefined) throw new Refusal(errno.exist);
    if (stat.isDirectory()) moveDirectoryToFree(...paths);
    else moveFileToFree(...paths);
  } else {
    if (replaced === undefined) throw new Refusal(errno.noent);
    swapNames(...paths);
  }

  done();
  const moved = served.nodes.known(stat);
  const lost = replaced === undefined ? undefined : served.nodes.known(replaced);
  served.forgetName(from, oldName);
  served.forgetName(to, newName);
  // Two names of one file: rename(2) does nothing.
  if (moved !== undefined && moved === lost) return served.done(request);
  if (lost !== undefined) {
    served.nodes.removePlace(lost, { parent: to, name: newName });
    if (flags === renameFlags.exchange) served.nodes.addPlace(lost, { parent: from, name: oldName });
  }
  if (replaced !== undefined && flags === 0 && givesRoom) gone(served, lost, replaced);
  if (moved !== undefined) {
    served.nodes.addPlace(moved, { parent: to, name: newName });
    served.nodes.removePlace(moved, { parent: from, name: oldName });
  }
  return served.done(request);
}

/** There is no call for it in Node: a link is made only where nothing is. */
function moveFileToFree(from: Buffer, to: Buffer): void {
  linkSync(from, to);
  try {
    unlinkSync(from);
  } catch (error) {
    unlinkSync(to);
    throw error;
  }
}

/** So is a directory, whose place the other one may then take, but only as long as it is empty. */
function moveDirectoryToFree(from: Buffer, to: Buffer): void {
  mkdirSync(to, 0o700);
  try {
    renameSync(from, to);
  } catch (error) {
    rmdirSync(to);
    throw error;
  }
}

function remove(served: ServedTree, request: Request, isDirectory: boolean): Buffer {
  served.requireWritable();
  const parent = served.directory(request.node);
  const name = request.name();
  const stat = served.tree.statEntry(parent, name);
  const givesRoom = served.tree.isGuests(parent, name);
  served.tree.remove(parent, name, isDirectory);
  served.forgetName(parent, name);
  if (stat === undefined) return served.done(request);
  const node = served.nodes.known(stat);
  if (givesRoom) gone(served, node, stat);
  if (node !== undefined) served.nodes.removePlace(node, { parent, name });
  return served.done(request);
}

/**
 * A file has lost a name, whose room is the guest's again; with the last one that of its content, too, unless someone has it open
 * still.
 */
function gone(served: ServedTree, node: Node | undefined, before: BigIntStats): void {
  const isLast = before.isDirectory() || before.nlink <= 1n;
  if (!isLast) served.quota.giveBack(fileBytes);
  else if (node === undefined || node.open.size === 0) served.quota.removed(before);
}

/** Tells of what was just made, and whose it is. */
function made(
  served: ServedTree,
  request: Request,
  parent: Node,
  name: string,
  mode: number,
  rdev = 0,
): Buffer {
  const stat = served.statToTell(parent, name);
  if (stat === undefined) throw new Refusal(errno.noent);
  return served.tell({ parent, name }, stat, (node) => {
    served.owners.created(node, stat, { uid: request.uid, gid: request.gid, mode, rdev });
    return served.entry(request, node, parent, name, fresh(served, node, stat));
  });
}

/** What was remembered with a file has changed the time of its last change. */
export function fresh(served: ServedTree, node: Node, stat: BigIntStats): BigIntStats {
  return node.override === null ? stat : served.tree.stat(node);
}

function found(served: ServedTree, request: Request, parent: Node, name: string): Buffer {
  const stat = served.statToTell(parent, name);
  if (stat === undefined) throw new Refusal(errno.noent);
  return served.tell({ parent, name }, stat, (node) => served.entry(request, node, parent, name, stat));
}
