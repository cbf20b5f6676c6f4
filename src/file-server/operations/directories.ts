/** Listing directories. */
import { errno, mostData, openReplyFlags, sizes } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { answer, bodyAt, shortened, writeU64 } from "../fuse/reply.ts";
import type { Request } from "../fuse/request.ts";
import type { DirectoryHandle } from "../handles.ts";
import type { ServedTree } from "../served-tree.ts";
import { typeOf } from "../tree/node.ts";

export function opendir(served: ServedTree, request: Request): Buffer {
  const node = served.directory(request.node);
  served.handles.requireRoom();
  const reply = answer(served.mount, request.unique, sizes.openOut).fill(0, bodyAt);
  writeU64(reply, served.handles.add({ kind: "directory", node, names: null }), bodyAt);
  // A listing that the kernel keeps is checked by the directory's time, which it asks for once that may be old.
  const kept = openReplyFlags.cacheDirectory | openReplyFlags.keepCache;
  if (served.watch(node)) reply.writeUInt32LE(kept, bodyAt + 8);
  return reply;
}

export function readdir(served: ServedTree, request: Request): Buffer {
  return list(served, request, false);
}

/** With each name what LOOKUP would say of it. */
export function readdirplus(served: ServedTree, request: Request): Buffer {
  return list(served, request, true);
}

function list(served: ServedTree, request: Request, plus: boolean): Buffer {
  const handle = served.handles.directory(request.u64());
  const [offset, size] = [request.u64(), request.u32()];
  if (size > mostData) throw new Refusal(errno.inval);
  const names = namesOf(served, handle, offset);
  const reply = answer(served.mount, request.unique, size);
  const entryBytes = plus ? sizes.entryOut : 0;
  let at = bodyAt;
  let index = offset;
  const told: number[] = [];
  try {
    for (; index < names.length; index++) {
      const name = names[index] ?? "";
      const bytes = entryBytes + ((sizes.dirent + name.length + 7) & ~7);
      if (at + bytes > bodyAt + size) break;
      if (writeOne(served, handle, { reply, at, entryBytes, name, next: index + 1, told })) at += bytes;
    }
  } catch (error) {
    // The kernel does not hear of those before, either.
    for (const id of told) served.nodes.forget(id, 1);
    throw error;
  }
  // Nobody goes on from here, unless it begins anew.
  if (index >= names.length && at === bodyAt) served.handles.holdNames(handle, null);
  return shortened(reply, at - bodyAt);
}

function namesOf(served: ServedTree, handle: DirectoryHandle, offset: number): readonly string[] {
  if (handle.names !== null && offset !== 0) return handle.names;
  const names = [".", "..", ...served.tree.names(handle.node)];
  served.handles.holdNames(handle, names);
  return names;
}

interface One {
  readonly reply: Buffer;
  readonly at: number;
  /** Bytes of the `fuse_entry_out` before the `fuse_dirent`; 0 for none. */
  readonly entryBytes: number;
  readonly name: string;
  /** The offset of the one after it. */
  readonly next: number;
  /** Nodes of which the kernel is told. */
  readonly told: number[];
}

/** @returns false when the entry has gone meanwhile */
function writeOne(served: ServedTree, handle: DirectoryHandle, one: One): boolean {
  const { reply, at, entryBytes, name, next, told } = one;
  const isDots = name === "." || name === "..";
  // What lies above the directory is not the guest's to know.
  const stat = isDots ? served.tree.stat(handle.node) : served.statToTell(handle.node, name);
  if (stat === undefined) return false;
  const dirent = at + entryBytes;
  reply.fill(0, at, dirent + ((sizes.dirent + name.length + 7) & ~7));
  let type = typeOf(stat);
  if (entryBytes > 0 && !isDots) {
    // Where there is no room for another node, 0 says no more than that there is such a name.
    if (!served.nodes.isFull || served.nodes.known(stat) !== undefined) {
      served.tell({ parent: handle.node, name }, stat, (node) => {
        served.writeEntry(reply, at, node, handle.node, name, stat);
        told.push(node.id);
      });
      // As the guest sees it: it may be a device there.
      type = reply.readUInt32LE(at + 40 + 60) & 0o170000;
    }
  }
  reply.writeBigUInt64LE(served.inoOf(stat), dirent);
  writeU64(reply, next, dirent + 8);
  reply.writeUInt32LE(name.length, dirent + 16);
  reply.writeUInt32LE(type >> 12, dirent + 20);
  reply.write(name, dirent + sizes.dirent, "latin1");
  return true;
}
