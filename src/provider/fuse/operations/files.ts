/** Operations on what is in a file. */
import { errno, openFlags, openReplyFlags, sizes } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import { answer, bodyAt, writeU64 } from "../../../file-server/fuse/reply.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import { mostBytes } from "../checked-provider.ts";
import type { CheckedStat } from "../checked-stat.ts";
import type { ProvidedNode } from "../provided-nodes.ts";
import type { Call, ProvidedTree } from "../provided-tree.ts";
import { makeAt, ownerOf } from "./names.ts";

export async function open(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const node = tree.nodes.get(request.node);
  const flags = request.u32();
  const truncates = (flags & openFlags.truncate) !== 0;
  if (writes(flags) || truncates) tree.requireWritable();
  if (node.kind !== "file") throw new Refusal(errno.acces);
  if (truncates) await tree.at(node, (path) => tree.files.truncate(path, 0, call.provider));
  // Whether it is there is found out now, and not by whoever reads it.
  const stat = await tree.stat(node, call);
  const reply = answer(tree.mount, request.unique, sizes.openOut);
  writeOpened(tree, call, reply, bodyAt, node, stat, flags);
  return reply;
}

export async function create(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const [flags, mode] = [request.u32(), request.u32() & 0o7777];
  request.skip(8);
  const { parent, name, stat } = await makeAt(tree, request, call, async (path) => {
    const { uid, gid } = ownerOf(request);
    try {
      await tree.files.create(path, { mode, uid, gid }, call.provider);
    } catch (error) {
      const isThere = error instanceof Refusal && error.errno === errno.exist;
      if (!isThere || (flags & openFlags.exclusive) !== 0) throw error;
      // Somebody else was first.
      if ((flags & openFlags.truncate) !== 0) await tree.files.truncate(path, 0, call.provider);
    }
  });
  if (stat.kind !== "file") throw new Refusal(errno.exist);
  const node = tree.tell(call, parent, name, stat);
  const reply = tree.entry(request, node, stat, sizes.openOut);
  writeOpened(tree, call, reply, bodyAt + sizes.entryOut, node, stat, flags);
  return reply;
}

export async function read(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const { node } = tree.handle(request.u64(), "file");
  const [offset, size] = [request.u64(), request.u32()];
  if (size > mostBytes) throw new Refusal(errno.inval);
  if (size === 0) return tree.done(request);
  return tree.bytes(
    request,
    await tree.at(node, (path) => tree.files.read(path, offset, size, call.provider)),
  );
}

export async function write(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const { node, isWritable } = tree.handle(request.u64(), "file");
  const [offset, size] = [request.u64(), request.u32()];
  // Flags, the owner of locks, flags of open(2), padding.
  request.skip(20);
  const data = request.bytes(size);
  if (!isWritable) throw new Refusal(errno.badf);
  if (!Number.isSafeInteger(offset + size)) throw new Refusal(errno.fbig);
  await tree.at(node, (path) => tree.files.write(path, offset, data, call.provider));
  const reply = answer(tree.mount, request.unique, 8);
  writeU64(reply, size, bodyAt);
  return reply;
}

/** Of files and directories. */
export async function release(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const node = tree.release(request.u64());
  if (node !== null) {
    const { removedName, isGone } = node;
    if (removedName !== null && isGone) {
      node.removedName = null;
      await tree.files.remove(`/${removedName}`, call.provider);
    }
    tree.nodes.dropUnused(node);
  }
  return tree.done(request);
}

export async function fsync(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const { node } = tree.handle(request.u64(), "file");
  await tree.at(node, (path) => tree.files.flush(path, call.provider));
  return tree.done(request);
}

function writes(flags: number): boolean {
  return (flags & openFlags.accessMode) !== 0;
}

function writeOpened(
  tree: ProvidedTree,
  call: Call,
  reply: Buffer,
  at: number,
  node: ProvidedNode,
  { hasTime }: CheckedStat,
  flags: number,
): void {
  writeU64(reply, tree.open(call, node, writes(flags)), at);
  // What the guest has of it in memory is checked by time and size; without a time it is read again.
  reply.writeUInt32LE(hasTime ? openReplyFlags.keepCache : 0, at + 8);
  reply.writeUInt32LE(0, at + 12);
}
