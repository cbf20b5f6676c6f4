/** Operations on what is told of a file. */
import { errno, longestName, setattrFlags as valid } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import { answer, bodyAt, writeU64 } from "../../../file-server/fuse/reply.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import type { AttributeChange } from "../../file-provider.ts";
import { isTime } from "../checked-stat.ts";
import { requireOwner, type Call, type ProvidedTree } from "../provided-tree.ts";

const blockBytes = 4096;

export async function getattr(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const node = tree.nodes.get(request.node);
  return tree.attributes(request, node, await tree.stat(node, call));
}

export async function setattr(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const node = tree.nodes.get(request.node);
  const what = request.u32();
  // Padding, and the handle: paths are enough.
  request.skip(12);
  // Beyond 2^53 no size is told exactly.
  const size = Number(request.i64());
  request.skip(8);
  const [atime, mtime] = [request.i64(), request.i64()];
  request.skip(8);
  const [atimeNs, mtimeNs] = [request.u32(), request.u32()];
  request.skip(4);
  const mode = request.u32();
  request.skip(4);
  const [uid, gid] = [request.u32(), request.u32()];

  // What no file may have is refused before anything is done: with it, it could not be told of any more.
  const change: AttributeChange = {
    ...((what & valid.mode) === 0 ? {} : { mode: mode & 0o7777 }),
    // An owner that was said once for all files is not changed.
    ...((what & valid.uid) === 0 || tree.owner !== null ? {} : { uid: requireOwner(uid) }),
    ...((what & valid.gid) === 0 || tree.owner !== null ? {} : { gid: requireOwner(gid) }),
    ...timeOf("atimeMs", what, valid.atime, valid.atimeNow, atime, atimeNs),
    ...timeOf("mtimeMs", what, valid.mtime, valid.mtimeNow, mtime, mtimeNs),
  };
  if ((what & valid.size) !== 0) {
    if (node.kind !== "file") throw new Refusal(errno.inval);
    if (!Number.isSafeInteger(size) || size < 0) throw new Refusal(errno.fbig);
    await tree.at(node, (path) => tree.files.truncate(path, size, call.provider));
  }
  if (Object.keys(change).length > 0)
    await tree.at(node, (path) => tree.files.setAttributes(path, change, call.provider));
  return tree.attributes(request, node, await tree.stat(node, call));
}

function timeOf(
  key: "atimeMs" | "mtimeMs",
  what: number,
  flag: number,
  now: number,
  seconds: bigint,
  nanoseconds: number,
): AttributeChange {
  if ((what & flag) === 0) return {};
  const ms = (what & now) === 0 ? Number(seconds) * 1000 + nanoseconds / 1e6 : Date.now();
  if (!isTime(ms)) throw new Refusal(errno.inval);
  return { [key]: ms };
}

export async function statfs(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const space = await tree.files.statFs(call.provider);
  const reply = answer(tree.mount, request.unique, 80).fill(0, bodyAt);
  const free = Math.floor((space?.freeBytes ?? 0) / blockBytes);
  writeU64(reply, Math.floor((space?.totalBytes ?? 0) / blockBytes), bodyAt);
  writeU64(reply, free, bodyAt + 8);
  writeU64(reply, free, bodyAt + 16);
  writeU64(reply, space?.totalFiles ?? 0, bodyAt + 24);
  writeU64(reply, space?.freeFiles ?? 0, bodyAt + 32);
  reply.writeUInt32LE(blockBytes, bodyAt + 40);
  reply.writeUInt32LE(longestName, bodyAt + 44);
  reply.writeUInt32LE(blockBytes, bodyAt + 48);
  return reply;
}
