import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  writeSync,
  type BigIntStats,
} from "node:fs";
import { extendedAttributes } from "../../host/files/extended-attributes.ts";
import { overrideName } from "../../overlay/guest-attributes.ts";

const chunkBytes = 1 << 20;
const blockBytes = 4096;
const userPrefix = "user.";

/**
 * Makes a copy of an open file, with its time and the attributes of users.
 *
 * @param path where nothing is
 * @param empties of its content nothing is wanted
 * @returns whether the file has stayed as it was meanwhile
 * @throws the system's error; there may be a part of it then
 */
export function copyFile(from: number, path: string, empties: boolean, keep: (fd: number) => void): boolean {
  const before = fstatSync(from, { bigint: true });
  const isSparse = before.blocks * 512n < before.size;
  if (!empties && !isSparse) {
    // The kernel copies it, or shares its blocks.
    copyFileSync(`/proc/self/fd/${from}`, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    // It has the other one's mode.
    chmodSync(path, 0o600);
  }
  const flags = constants.O_RDWR | (!empties && !isSparse ? 0 : constants.O_CREAT | constants.O_EXCL);
  const to = openSync(path, flags | constants.O_NOFOLLOW, 0o600);
  try {
    if (!empties && isSparse) copyWithHoles(from, to, Number(before.size));
    copyAttributes(from, to);
    keep(to);
    setTime(to, before);
    return sameState(before, fstatSync(from, { bigint: true }));
  } finally {
    closeSync(to);
  }
}

/** Of attributes only those of users; what a guest has given before to a file of this directory is shown by `keep`. */
export function copyAttributes(from: number, to: number): void {
  let names: string[];
  try {
    names = extendedAttributes().listAttrsSync(from);
  } catch {
    // Its file system has none.
    return;
  }
  for (const name of names) {
    if (!name.startsWith(userPrefix) || name === overrideName) continue;
    const value = extendedAttributes().getAttrSync(from, name);
    if (value !== null) extendedAttributes().setAttrSync(to, name, value);
  }
}

export function setTime(fd: number, { atimeNs, mtimeNs }: BigIntStats): void {
  futimesSync(fd, Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9);
}

function sameState(one: BigIntStats, other: BigIntStats): boolean {
  return one.ctimeNs === other.ctimeNs && one.mtimeNs === other.mtimeNs && one.size === other.size;
}

/** Node has no SEEK_HOLE: blocks of zero are left out. */
function copyWithHoles(from: number, to: number, size: number): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const zeros = Buffer.alloc(blockBytes);
  let at = 0;
  while (at < size) {
    const count = readSync(from, chunk, 0, Math.min(chunkBytes, size - at), at);
    if (count === 0) break;
    for (let start = 0; start < count; start += blockBytes) {
      const block = chunk.subarray(start, Math.min(start + blockBytes, count));
      if (block.equals(zeros.subarray(0, block.length))) continue;
      for (let done = 0; done < block.length;) {
        done += writeSync(to, block, done, block.length - done, at + start + done);
      }
    }
    at += count;
  }
  ftruncateSync(to, at);
}
