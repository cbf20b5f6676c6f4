import { linkSync, lstatSync, renameSync, unlinkSync, type BigIntStats } from "node:fs";
import { lchown, open, readlink, symlink, unlink, type FileHandle } from "node:fs/promises";
import { readChunk } from "../host/files/read-chunk.ts";
import { errorCode } from "../host/system-error.ts";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { partialName } from "../host/tree/partial-names.ts";
import { openAside } from "../host/tree/write-entry.ts";
import { baseOf, unknownBase, type Base } from "./base.ts";
import { bytesOf, itself } from "./entries.ts";

/** The host has changed it since it was looked at. */
export class ChangedMeanwhile extends Error {}
/** The guest writes to it all the time. */
export class StillWritten extends Error {}

const chunkBytes = 1 << 20;
const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);
const tries = 3;

/** What is written, and where. */
export interface FileToWrite {
  readonly layer: HeldDirectory;
  readonly host: HeldDirectory;
  readonly name: string;
  readonly mode: number;
  /** What the host has there; null for nothing. It is no directory. */
  readonly replaces: BigIntStats | null;
  /** Called when all of it is there, aside: removes what stands in its place, such as a directory. */
  makeRoom(): Promise<void>;
}

/** What is on the host now. */
export interface WrittenFile {
  /** The layer's file as it was written. */
  readonly written: BigIntStats;
  /** The host's; unknown when the host has changed it at once. */
  readonly base: Base;
}

/**
 * Writes a file of a layer to the host: aside, and under its name when all of it is there.
 *
 * @param signal given up between two parts of it: nothing is left aside
 * @param onBytes so many more were written
 * @throws ChangedMeanwhile, StillWritten; the system's error
 */
export async function writeFile(
  file: FileToWrite,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<WrittenFile> {
  const from = await open(file.layer.at(bytesOf(file.name)), itself);
  try {
    const aside = await openAside(file.host);
    try {
      const written = await copyWhole(from, aside.handle, signal, onBytes);
      await aside.handle.chmod(file.mode);
      await keepOwner(aside.path, file.replaces);
      const time = Number(written.mtimeNs) / 1e9;
      if (time >= 0) await aside.handle.utimes(time, time);
      const own = await aside.handle.stat({ bigint: true });
      await aside.handle.close();
      await file.makeRoom();
      return { written, base: putInPlace(aside.path, own, file) };
    } catch (error) {
      await aside.handle.close().catch(() => undefined);
      await unlink(aside.path).catch(() => undefined);
      throw error;
    }
  } finally {
    await from.close();
  }
}

/** The same with a symbolic link. @returns what the host has now */
export async function writeLink(file: FileToWrite): Promise<Base> {
  const target = await readlink(file.layer.at(bytesOf(file.name)), { encoding: "buffer" });
  const aside = file.host.at(await partialName());
  await symlink(target, aside);
  try {
    await keepOwner(aside, file.replaces);
    await file.makeRoom();
    return putInPlace(aside, lstatSync(aside, { bigint: true }), file);
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
}

/** Removes a file of the host's that is as it was looked at. @throws ChangedMeanwhile; the system's error */
export function removeKnown(host: HeldDirectory, name: string, known: BigIntStats): void {
  const path = host.at(bytesOf(name));
  requireKnown(path, known);
  unlinkSync(path);
}

/**
 * With no other call between the look and the change: what the host does in this moment is not seen.
 *
 * @param own the file that is put there
 */
function putInPlace(aside: Buffer, own: BigIntStats, { host, name, replaces }: FileToWrite): Base {
  const path = host.at(bytesOf(name));
  if (replaces === null) moveToFree(aside, path);
  else {
    requireKnown(path, replaces);
    renameSync(aside, path);
  }
  return baseIfStill(own, lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

/** Its time of change is another one when it was moved, so it says nothing of what the host has done by then. */
export function baseIfStill(own: BigIntStats, now: BigIntStats | undefined): Base {
  const isStill =
    now?.ino === own.ino && now.size === own.size && now.mtimeNs === own.mtimeNs && now.mode === own.mode;
  return isStill ? baseOf(now) : unknownBase;
}

/** Whatever the host makes there in this moment stays. */
function moveToFree(aside: Buffer, path: Buffer): void {
  try {
    linkSync(aside, path);
    unlinkSync(aside);
    return;
  } catch (error) {
    if (errorCode(error) === "EEXIST") throw new ChangedMeanwhile();
    if (!["EPERM", "ENOSYS", "EOPNOTSUPP", "EMLINK"].includes(errorCode(error) ?? "")) throw error;
  }
  // A file system without hard links.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new ChangedMeanwhile();
  renameSync(aside, path);
}

function requireKnown(path: Buffer, known: BigIntStats): void {
  const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (now === undefined || baseOf(now) !== baseOf(known)) throw new ChangedMeanwhile();
}

/** Only root can give files away; for anybody else the new one is the user's. */
async function keepOwner(path: Buffer, replaces: BigIntStats | null): Promise<void> {
  if (replaces === null || process.geteuid?.() !== 0) return;
  await lchown(path, Number(replaces.uid), Number(replaces.gid));
}

/** @returns the file as it was while it was copied */
async function copyWhole(
  from: FileHandle,
  to: FileHandle,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<BigIntStats> {
  for (let left = tries; left > 0; left--) {
    const before = await from.stat({ bigint: true });
    await to.truncate(0);
    await copyContent(from, to, signal, onBytes);
    const after = await from.stat({ bigint: true });
    if (after.ctimeNs === before.ctimeNs && after.size === before.size) return after;
  }
  throw new StillWritten();
}

/** Node has no SEEK_HOLE: blocks of zero become holes. */
async function copyContent(
  from: FileHandle,
  to: FileHandle,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let at = 0; ;) {
    signal?.throwIfAborted();
    const count = await readChunk(from, chunk, at);
    for (const [start, end] of partsWithContent(chunk.subarray(0, count))) {
      for (let done = start; done < end;)
        done += (await to.write(chunk, done, end - done, at + done)).bytesWritten;
    }
    at += count;
    onBytes(count);
    if (count < chunkBytes) {
      await to.truncate(at);
      return;
    }
  }
}

function* partsWithContent(bytes: Buffer): Generator<[start: number, end: number]> {
  let start = -1;
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = bytes.subarray(at, at + blockBytes);
    const isHole = block.equals(zeros.subarray(0, block.length));
    if (!isHole && start < 0) start = at;
    if (isHole && start >= 0) {
      yield [start, at];
      start = -1;
    }
  }
  if (start >= 0) yield [start, bytes.length];
}
