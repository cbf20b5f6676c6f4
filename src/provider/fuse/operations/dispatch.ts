import type { Wanted } from "../../../file-server/fuse/init.ts";
import { errno, initFlags, mostForwardedData, opcodes } from "../../../file-server/fuse/numbers.ts";
import { Refusal } from "../../../file-server/fuse/refusal.ts";
import type { Request } from "../../../file-server/fuse/request.ts";
import type { Call, ProvidedTree } from "../provided-tree.ts";
import { getattr, setattr, statfs } from "./attributes.ts";
import { opendir, readdir, readdirplus } from "./directories.ts";
import { create, fsync, open, read, release, write } from "./files.ts";
import { lookup, mkdir, mknod, readlink, rename, rename2, rmdir, symlink, unlink } from "./names.ts";

type Operation = (tree: ProvidedTree, request: Request, call: Call) => Promise<Buffer>;

const operations = new Map<number, Operation>([
  [opcodes.lookup, lookup],
  [opcodes.getattr, getattr],
  [opcodes.setattr, setattr],
  [opcodes.readlink, readlink],
  [opcodes.symlink, symlink],
  [opcodes.mknod, mknod],
  [opcodes.mkdir, mkdir],
  [opcodes.unlink, unlink],
  [opcodes.rmdir, rmdir],
  [opcodes.rename, rename],
  [opcodes.open, open],
  [opcodes.read, read],
  [opcodes.write, write],
  [opcodes.statfs, statfs],
  [opcodes.release, release],
  [opcodes.fsync, fsync],
  [opcodes.opendir, opendir],
  [opcodes.readdir, readdir],
  [opcodes.releasedir, release],
  [opcodes.create, create],
  [opcodes.readdirplus, readdirplus],
  [opcodes.rename2, rename2],
  [opcodes.link, async () => refuse(errno.perm)],
  // The answer "not now" is the kernel's reason to ask again, and "never" its reason to do without.
  [opcodes.fallocate, async () => refuse(errno.opnotsupp)],
]);

/** What a guest asks for, done. @throws Refusal, and what nobody foresaw */
export async function serveProvided(tree: ProvidedTree, request: Request, call: Call): Promise<Buffer> {
  const operation = operations.get(request.opcode);
  // The kernel does without what is not there: locks, extended attributes, seeks for holes.
  if (operation === undefined) throw new Refusal(errno.nosys);
  return await operation(tree, request, call);
}

function refuse(number: number): never {
  throw new Refusal(number);
}

/** What is not wanted here though the kernel may have it: set-user-ID bits mean nothing in such a mount. */
const flags = [
  initFlags.asyncRead,
  initFlags.atomicTrunc,
  initFlags.bigWrites,
  initFlags.autoInvalData,
  initFlags.readdirplus,
  initFlags.readdirplusAuto,
  initFlags.parallelDirops,
  initFlags.maxPages,
];

/** What such a mount is to be like. */
export const wantedOfKernel: Wanted = { flags, mostData: mostForwardedData };
