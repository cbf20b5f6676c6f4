/** Operations on what is told of a file. */
import { errno, setattrFlags as valid } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import { readSetAttributes, type WantedTime } from "../../../file-server/fuse/set-attributes.ts";
import { answerStatfs } from "../../../file-server/fuse/statfs.ts";
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
  // Paths are enough: the handle is not needed.
  const { what, size, atime, mtime, mode, uid, gid } = readSetAttributes(request);

  // What no file may have is refused before anything is done: with it, it could not be told of any more.
  const change: AttributeChange = {
    ...((what & valid.mode) === 0 ? {} : { mode: mode & 0o7777 }),
    // An owner that was said once for all files is not changed.
    ...((what & valid.uid) === 0 || tree.owner !== null ? {} : { uid: requireOwner(uid) }),
    ...((what & valid.gid) === 0 || tree.owner !== null ? {} : { gid: requireOwner(gid) }),
    ...timeOf("atimeMs", what, valid.atime, valid.atimeNow, atime),
    ...timeOf("mtimeMs", what, valid.mtime, valid.mtimeNow, mtime),
  };
  if ((what & valid.size) !== 0) {
    if (node.kind !== "file") throw new Refusal(errno.inval);
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
  { seconds, nanoseconds }: WantedTime,
): AttributeChange {
  if ((what & flag) === 0) return {};
  const ms = (what & now) === 0 ? Number(seconds) * 1000 + nanoseconds / 1e6 : Date.now();
  if (!isTime(ms)) throw new Refusal(errno.inval);
  return { [key]: ms };
}

export async function statfs(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const space = await tree.files.statFs(call.provider);
  const free = Math.floor((space?.freeBytes ?? 0) / blockBytes);
  return answerStatfs(tree.mount, request, {
    ...{ blockBytes, blocks: Math.floor((space?.totalBytes ?? 0) / blockBytes), free, available: free },
    ...{ files: space?.totalFiles ?? 0, freeFiles: space?.freeFiles ?? 0 },
  });
}
