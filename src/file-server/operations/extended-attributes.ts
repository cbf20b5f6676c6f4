/** Extended attributes: those of users are the host's file's own. */
import { closeSync, constants } from "node:fs";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { answer, bodyAt } from "../fuse/reply.ts";
import type { Request } from "../fuse/request.ts";
import { extendedAttributes } from "../../host/files/extended-attributes.ts";
import { canKeep } from "../ownership/override-store.ts";
import type { ServedTree } from "../served-tree.ts";

/** XATTR_NAME_MAX and XATTR_SIZE_MAX (linux/limits.h). */
const longestAttributeName = 255;
const largestValue = 65_536;

const userPrefix = "user.";
/** Ours, which the guest must not write: they say what it sees. */
const ownPrefix = "user.msb.";
const onlyCreate = 1;
const onlyReplace = 2;

export function getxattr(served: ServedTree, request: Request): Buffer {
  const size = request.u32();
  request.skip(4);
  const name = request.text(longestAttributeName);
  const value = withFile(served, request, (fd) =>
    isUsers(name) ? extendedAttributes().getAttrSync(fd, utf8(name)) : null,
  );
  if (value === null) throw new Refusal(errno.nodata);
  return sized(served, request, size, value);
}

export function listxattr(served: ServedTree, request: Request): Buffer {
  const size = request.u32();
  const names = withFile(served, request, (fd) => extendedAttributes().listAttrsSync(fd)) ?? [];
  const text = names.filter(isUsers).map((name) => `${name}\0`);
  return sized(served, request, size, Buffer.from(text.join("")));
}

export function setxattr(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const [size, flags] = [request.u32(), request.u32()];
  const name = request.text(longestAttributeName);
  if (size > largestValue) throw new Refusal(errno.toobig);
  const value = Buffer.from(request.bytes(size));
  if (!isUsers(name)) throw new Refusal(errno.opnotsupp);
  writable(served, request);
  const kept = withFile(served, request, (fd) => {
    const isThere = extendedAttributes().getAttrSync(fd, utf8(name)) !== null;
    if (flags === onlyCreate && isThere) throw new Refusal(errno.exist);
    if (flags === onlyReplace && !isThere) throw new Refusal(errno.nodata);
    extendedAttributes().setAttrSync(fd, utf8(name), value);
    return true;
  });
  if (kept === null) throw new Refusal(errno.perm);
  return served.done(request);
}

export function removexattr(served: ServedTree, request: Request): Buffer {
  served.requireWritable();
  const name = request.text(longestAttributeName);
  if (!isUsers(name)) throw new Refusal(errno.opnotsupp);
  writable(served, request);
  const removed = withFile(served, request, (fd) => {
    if (extendedAttributes().getAttrSync(fd, utf8(name)) === null) throw new Refusal(errno.nodata);
    extendedAttributes().removeAttrSync(fd, utf8(name));
    return true;
  });
  if (removed === null) throw new Refusal(errno.nodata);
  return served.done(request);
}

function isUsers(name: string): boolean {
  return name.startsWith(userPrefix) && !name.startsWith(ownPrefix);
}

/** What makes the calls takes names as text. */
function utf8(name: string): string {
  const bytes = Buffer.from(name, "latin1");
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes)) throw new Refusal(errno.inval);
  return text;
}

function writable(served: ServedTree, request: Request): void {
  const node = served.nodes.get(request.node);
  if (canKeep(node.identity.type)) served.tree.writable(node, false);
}

/** null for what can have no attributes of users. */
function withFile<T>(served: ServedTree, request: Request, use: (fd: number) => T): T | null {
  const node = served.nodes.get(request.node);
  if (!canKeep(node.identity.type)) return null;
  const fd = served.tree.open(node, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** A size of 0 asks how long the value is. */
function sized(served: ServedTree, request: Request, size: number, value: Buffer): Buffer {
  if (size > 0 && value.length > size) throw new Refusal(errno.range);
  if (size > 0) return served.bytes(request, value);
  const reply = answer(served.mount, request.unique, 8).fill(0, bodyAt);
  reply.writeUInt32LE(value.length, bodyAt);
  return reply;
}
