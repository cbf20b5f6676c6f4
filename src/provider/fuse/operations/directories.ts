/** Listing directories. */
import { errno, sizes } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import { answer, bodyAt, shortened, writeU64 } from "../../../file-server/fuse/reply.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import { mostBytes, type CheckedEntry } from "../checked-provider.ts";
import { typeOfKind } from "../checked-stat.ts";
import { isRemovedName } from "../names.ts";
import type { Call, ProvidedHandle, ProvidedTree } from "../provided-tree.ts";

/** `.` and `..` come before what the provider has. */
const dots = [".", ".."] as const;
/** Of an entry whose number nobody knows yet; 0 would be no entry. */
const unknownIno = 0xffff_ffff;

export async function opendir(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const node = tree.directory(request.node);
  const reply = answer(tree.mount, request.unique, sizes.openOut).fill(0, bodyAt);
  writeU64(reply, tree.open(call, node, false), bodyAt);
  return reply;
}

export async function readdir(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  return await list(tree, request, call, false);
}

/** With what LOOKUP would say of each name, as far as the provider has told it. */
export async function readdirplus(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  return await list(tree, request, call, true);
}

async function list(tree: ProvidedTree, request: Request, call: Call, plus: boolean): Promise<Buffer> {
  const handle = tree.handle(request.u64(), "directory");
  const [offset, size] = [request.u64(), request.u32()];
  if (size > mostBytes) throw new Refusal(errno.inval);
  const entries = await entriesOf(tree, handle, offset, call);
  const count = dots.length + entries.length;
  const reply = answer(tree.mount, request.unique, size);
  const before = plus ? sizes.entryOut : 0;
  let at = bodyAt;
  for (let index = offset; index < count; index++) {
    const entry = entries[index - dots.length] ?? null;
    const name = Buffer.from(entry?.name ?? dots[index] ?? "");
    const bytes = before + ((sizes.dirent + name.length + 7) & ~7);
    if (at + bytes > bodyAt + size) break;
    reply.fill(0, at, at + bytes);
    const ino = entry === null ? handle.node.id : writeEntry(tree, call, handle, entry, plus, reply, at);
    const type = entry === null ? typeOfKind("directory") : typeOf(entry);
    const dirent = at + before;
    writeU64(reply, ino, dirent);
    writeU64(reply, index + 1, dirent + 8);
    reply.writeUInt32LE(name.length, dirent + 16);
    reply.writeUInt32LE(type >> 12, dirent + 20);
    name.copy(reply, dirent + sizes.dirent);
    at += bytes;
  }
  return shortened(reply, at - bodyAt);
}

async function entriesOf(
  tree: ProvidedTree,
  handle: ProvidedHandle,
  offset: number,
  call: Call,
): Promise<readonly CheckedEntry[]> {
  if (handle.entries !== null && offset !== 0) return handle.entries;
  const { node } = handle;
  const told = await tree.at(node, (path) => tree.files.list(path, call.provider));
  const entries = node === tree.nodes.root ? told.filter(({ name }) => !isRemovedName(name)) : told;
  tree.holdEntries(handle, entries);
  return entries;
}

/** @returns its number */
function writeEntry(
  tree: ProvidedTree,
  call: Call,
  { node: parent }: ProvidedHandle,
  { name, stat }: CheckedEntry,
  plus: boolean,
  reply: Buffer,
  at: number,
): number {
  const known = tree.nodes.child(parent, name);
  // A node of 0 says no more than that there is such a name.
  if (plus && stat !== null && (known !== undefined || !tree.nodes.isFull)) {
    const node = tree.tell(call, parent, name, stat);
    tree.writeEntry(reply, at, node, stat);
    return stat.id ?? node.id;
  }
  return stat?.id ?? known?.fileId ?? known?.id ?? unknownIno;
}

function typeOf({ stat }: CheckedEntry): number {
  return stat === null ? 0 : typeOfKind(stat.kind);
}
