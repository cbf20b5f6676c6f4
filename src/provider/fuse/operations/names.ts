/** Operations on the names in a directory. */
import { errno, longestPath, renameFlags } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import { afterwards } from "../../afterwards.ts";
import type { CheckedStat } from "../checked-stat.ts";
import { isRemovedName, removedName, requireText, textOf } from "../names.ts";
import type { ProvidedNode } from "../provided-nodes.ts";
import { requireOwner, type Call, type ProvidedTree } from "../provided-tree.ts";

/** `S_IFMT` and `S_IFREG`. */
const typeBits = 0o170000;
const regular = 0o100000;

export async function lookup(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const parent = tree.directory(request.node);
  const name = textOf(request.name());
  if (name === null || isHidden(parent, name)) return tree.noEntry(request);
  let stat: CheckedStat;
  try {
    stat = await inDirectory(tree, parent, name, (path) => tree.files.stat(path, call.provider));
  } catch (error) {
    if (error instanceof Refusal && error.errno === errno.noent) return tree.noEntry(request);
    throw error;
  }
  return tree.entry(request, tree.tell(call, parent, name, stat), stat);
}

export async function readlink(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const node = tree.nodes.get(request.node);
  if (node.kind !== "symlink") throw new Refusal(errno.inval);
  return tree.bytes(request, await tree.at(node, (path) => tree.files.readLink(path, call.provider)));
}

export async function symlink(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const { uid, gid } = ownerOf(request);
  // The name comes before the target.
  return await made(tree, request, call, (path) => {
    const target = requireText(request.text(longestPath));
    return tree.files.symlink(target, path, { mode: 0o777, uid, gid }, call.provider);
  });
}

export async function mkdir(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const mode = request.u32() & 0o7777;
  request.skip(4);
  const { uid, gid } = ownerOf(request);
  return await made(tree, request, call, (path) => tree.files.mkdir(path, { mode, uid, gid }, call.provider));
}

/** Devices, pipes and sockets no provider has. */
export async function mknod(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const mode = request.u32();
  request.skip(12);
  if ((mode & typeBits) !== regular) throw new Refusal(errno.perm);
  const attributes = { mode: mode & 0o7777, ...ownerOf(request) };
  return await made(tree, request, call, (path) => tree.files.create(path, attributes, call.provider));
}

export async function unlink(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const parent = tree.directory(request.node);
  const name = requireText(request.name());
  const node = tree.nodes.child(parent, name);
  if (node !== undefined && isOpen(tree, node)) {
    await putAside(tree, node, call);
    await leaveAside(tree, node, call);
  } else await inDirectory(tree, parent, name, (path) => tree.files.remove(path, call.provider));
  if (node !== undefined && tree.nodes.child(parent, name) === node) tree.nodes.detach(node);
  return tree.done(request);
}

export async function rmdir(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  tree.requireWritable();
  const parent = tree.directory(request.node);
  const name = requireText(request.name());
  const node = tree.nodes.child(parent, name);
  await inDirectory(tree, parent, name, (path) => tree.files.removeDirectory(path, call.provider));
  if (node !== undefined && tree.nodes.child(parent, name) === node) tree.nodes.detach(node);
  return tree.done(request);
}

export async function rename(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  return await move(tree, request, call, request.u64(), 0);
}

export async function rename2(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const to = request.u64();
  const flags = request.u32();
  request.skip(4);
  return await move(tree, request, call, to, flags);
}

async function move(
  tree: ProvidedTree,
  request: Request,
  call: Call,
  toId: number,
  flags: number,
): Promise<Buffer> {
  tree.requireWritable();
  const { nodes, files } = tree;
  const [from, to] = [tree.directory(request.node), tree.directory(toId)];
  const [oldName, newName] = [requireText(request.name()), requireText(request.name())];
  // Two files cannot change places by their paths alone.
  if (flags !== 0 && flags !== renameFlags.noReplace) throw new Refusal(errno.inval);
  if (isHidden(to, newName) || isHidden(from, oldName)) throw new Refusal(errno.perm);
  const [oldPath, newPath] = [nodes.pathIn(from, oldName), nodes.pathIn(to, newName)];
  const [moved, lost] = [nodes.child(from, oldName), nodes.child(to, newName)];
  if (moved !== undefined && nodes.isWithin(to, moved)) throw new Refusal(errno.inval);
  if (flags === renameFlags.noReplace && (await isThere(tree, newPath, call))) throw new Refusal(errno.exist);
  if (oldPath === newPath) return tree.done(request);
  const aside = lost !== undefined && isOpen(tree, lost) ? lost : null;
  if (aside !== null) await putAside(tree, aside, call);
  try {
    await files.rename(oldPath, newPath, call.provider);
  } catch (error) {
    if (aside !== null) await putBack(tree, aside, newPath, call);
    throw error;
  }
  if (aside !== null) await leaveAside(tree, aside, call);
  if (moved !== undefined && nodes.child(from, oldName) === moved) nodes.move(moved, to, newName);
  else if (lost !== undefined && nodes.child(to, newName) === lost) nodes.detach(lost);
  return tree.done(request);
}

async function isThere(tree: ProvidedTree, path: string, call: Call): Promise<boolean> {
  try {
    await tree.files.stat(path, call.provider);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.errno === errno.noent) return false;
    throw error;
  }
}

/** Whether a file has to be kept when it loses its name. Where the provider cannot do that, it is gone for whoever has it open. */
function isOpen(tree: ProvidedTree, node: ProvidedNode): boolean {
  return node.open > 0 && node.kind === "file" && tree.files.has("rename") && tree.files.has("remove");
}

/** Gives a file that is open, and is to lose its name, another one until it is closed. */
async function putAside(tree: ProvidedTree, node: ProvidedNode, call: Call): Promise<void> {
  const aside = removedName();
  await tree.at(node, (path) => tree.files.rename(path, `/${aside}`, call.provider));
  node.removedName = aside;
}

/** It has not lost its name after all. Where that cannot be done it stays aside: it is the only one that there is. */
async function putBack(tree: ProvidedTree, node: ProvidedNode, path: string, call: Call): Promise<void> {
  try {
    await tree.files.rename(tree.nodes.pathOf(node), path, afterwards(call.provider));
    node.removedName = null;
  } catch {
    // What it was about has failed already, and says why.
  }
}

/** It has lost its name for good. Who closes it removes it, unless he has done so meanwhile, or the guest is gone. */
async function leaveAside(tree: ProvidedTree, node: ProvidedNode, call: Call): Promise<void> {
  if ((node.open > 0 && !tree.isClosed) || node.removedName === null) return;
  const path = tree.nodes.pathOf(node);
  node.removedName = null;
  await tree.files.remove(path, afterwards(call.provider));
}

interface Made {
  readonly parent: ProvidedNode;
  readonly name: string;
  readonly stat: CheckedStat;
}

/** Makes what the next text of the request names, and looks what it is. */
export async function makeAt(
  tree: ProvidedTree,
  request: Request,
  call: Call,
  make: (path: string) => Promise<void>,
): Promise<Made> {
  const parent = tree.directory(request.node);
  const name = requireText(request.name());
  if (isHidden(parent, name)) throw new Refusal(errno.perm);
  const path = tree.nodes.pathIn(parent, name);
  await make(path);
  const stat = await inDirectory(tree, parent, name, (at) => tree.files.stat(at, call.provider));
  return { parent, name, stat };
}

/** Whose a new file is. @throws Refusal EINVAL */
export function ownerOf({ uid, gid }: Request): { readonly uid: number; readonly gid: number } {
  return { uid: requireOwner(uid), gid: requireOwner(gid) };
}

async function made(
  tree: ProvidedTree,
  request: Request,
  call: Call,
  make: (path: string) => Promise<void>,
): Promise<Buffer> {
  const { parent, name, stat } = await makeAt(tree, request, call, make);
  return tree.entry(request, tree.tell(call, parent, name, stat), stat);
}

/** Does something at the path of an entry, again where its directory was renamed meanwhile. */
async function inDirectory<T>(
  tree: ProvidedTree,
  parent: ProvidedNode,
  name: string,
  work: (path: string) => Promise<T>,
): Promise<T> {
  return await tree.at(parent, (above) => work(above === "/" ? `/${name}` : `${above}/${name}`));
}

/** Those of removed files are nobody's. */
function isHidden(parent: ProvidedNode, name: string): boolean {
  return parent.parent === null && parent.name === "" && isRemovedName(name);
}
